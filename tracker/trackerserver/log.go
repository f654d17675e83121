package trackerserver

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"spate/tracker"
)

// ActivityOptions are the settings of an [ActivityLog].
type ActivityOptions struct {
	Privacy Privacy
	// MaxSize is the size at which the file is rotated, in bytes; 0: 64 MiB. Keep
	// is how many older files there are, named PATH.1 (the youngest) and so on;
	// 0: 5, negative: none.
	MaxSize int64
	Keep    int
	// Queue bounds the entries that wait for the disk; 0: 8192. What does not
	// fit is dropped and counted.
	Queue int
}

// ActivityLog writes who started, completed and stopped a download. Observe is
// for Options.Observe; Run writes, many entries at once.
type ActivityLog struct {
	opts ActivityOptions
	seed maphash.Seed
	file rotated

	dropped atomic.Uint64
	failed  atomic.Uint64

	queueMu sync.Mutex
	queue   [][]byte          // parts of lines that wait for Run; guarded by queueMu
	queued  int               // how many lines; guarded by queueMu
	spare   [][]byte          // memory for parts; guarded by queueMu
	drained [][]byte          // memory for queue; guarded by queueMu
	clients map[uint64]string // names by the head of peer ids; guarded by queueMu
	wake    chan struct{}
	full    chan struct{} // enough waits to be written at once
}

const (
	// gather is how long entries wait for others, to be written with them.
	gather = 100 * time.Millisecond
	// logPart is the size from which on a part of the queue is written without
	// waiting for more, and maxSpare the number of parts that are kept for use
	// again: what comes while a processor is busy otherwise.
	logPart  = 32 << 10
	maxSpare = 16
	// maxClients bounds the names of clients that are remembered.
	maxClients = 1024
)

// OpenActivityLog opens the log at path, and goes on with one that is there.
func OpenActivityLog(path string, o ActivityOptions) (*ActivityLog, error) {
	switch {
	case o.Privacy > PrivacyNone:
		return nil, fmt.Errorf("activity log: privacy %d is not known", o.Privacy)
	case o.MaxSize < 0 || o.Queue < 0:
		return nil, errors.New("activity log: negative size")
	}
	if o.MaxSize == 0 {
		o.MaxSize = 64 << 20
	}
	if o.Keep == 0 {
		o.Keep = 5
	}
	if o.Queue == 0 {
		o.Queue = 8192
	}
	l := &ActivityLog{
		opts: o, seed: maphash.MakeSeed(), file: rotated{path: path, maxSize: o.MaxSize, keep: max(o.Keep, 0)},
		clients: map[uint64]string{}, wake: make(chan struct{}, 1), full: make(chan struct{}, 1),
	}
	if err := l.file.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// Observe notes an announce that starts, completes or stops a download. It never
// waits.
func (l *ActivityLog) Observe(o *Observation) {
	event := ""
	switch {
	case o.Refused != nil:
		return
	case o.Counted:
		event = "completed"
	case o.Removed:
		event = "stopped"
	case o.New || o.Request.Event == tracker.EventStarted:
		event = "started"
	default:
		return
	}
	l.queueMu.Lock()
	if l.queued >= l.opts.Queue {
		l.queueMu.Unlock()
		l.dropped.Add(1)
		return
	}
	last := len(l.queue) - 1
	first, many := last < 0, false
	if first || len(l.queue[last]) >= logPart {
		many = !first
		l.queue = append(l.queue, l.part())
		last++
	}
	l.queue[last] = l.appendEntry(l.queue[last], event, o)
	l.queued++
	many = many || l.queued >= (l.opts.Queue+3)/4
	l.queueMu.Unlock()
	if first {
		signal(l.wake)
	}
	if many {
		signal(l.full)
	}
}

// part returns an empty part of the queue. The caller holds queueMu.
func (l *ActivityLog) part() []byte {
	n := len(l.spare)
	if n == 0 {
		return make([]byte, 0, logPart+logPart/4)
	}
	p := l.spare[n-1]
	l.spare = l.spare[:n-1]
	return p[:0]
}

// signal wakes who waits for c, now or next time.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run writes what Observe notes until ctx is done, then what is left. Entries
// reach the file within a tenth of a second.
func (l *ActivityLog) Run(ctx context.Context) error {
	for {
		select {
		case <-l.wake:
			timer := time.NewTimer(gather)
			select {
			case <-timer.C:
			case <-l.full:
			case <-ctx.Done():
			}
			timer.Stop()
		case <-ctx.Done():
		}
		if l.flush() == 0 && ctx.Err() != nil {
			return nil
		}
	}
}

// flush writes what waits, and returns how many entries that were.
func (l *ActivityLog) flush() int {
	l.queueMu.Lock()
	parts, n := l.queue, l.queued
	l.queue, l.queued = l.drained, 0
	l.queueMu.Unlock()
	for _, p := range parts {
		l.failed.Add(uint64(l.file.write(p)))
	}
	l.queueMu.Lock()
	defer l.queueMu.Unlock()
	l.spare = append(l.spare, parts[:min(len(parts), maxSpare-len(l.spare))]...)
	clear(parts)
	l.drained = parts[:0]
	return n
}

// Reopen goes on with a new file at the path, for who rotates logs himself.
func (l *ActivityLog) Reopen() error { return l.file.reopen() }

// Lost returns how many entries were dropped because the disk was too slow, and
// how many because it failed.
func (l *ActivityLog) Lost() (dropped, failed uint64) { return l.dropped.Load(), l.failed.Load() }

// Close closes the file. Call it after Run has returned.
func (l *ActivityLog) Close() error { return l.file.close() }
