// Package trackerlog writes and reads the download log of a tracker: a file with a line
// of JSON for each download that a peer started, completed or stopped. [Log] writes it
// from the announces that a tracker reports, and [Reporter] reads it and adds up the
// downloads by torrent, day and client. The package does not depend on the tracker that
// serves the announces.
package trackerlog

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"spate/tracker"
)

// Options configures a [Log]. The zero value of each field selects the default in its
// comment.
type Options struct {
	// Privacy is the part of the addresses of peers that is logged; default
	// [PrivacyNetwork].
	Privacy Privacy
	// MaxSize is the size in bytes at which the file is rotated; default 64 MiB.
	MaxSize int64
	// Keep is the number of older files, PATH.1 being the newest of them; default 5. A
	// negative number keeps none.
	Keep int
	// Queue limits the number of entries that wait for the disk; default 8192. Further
	// entries are dropped and counted, see [Log.Lost].
	Queue int
}

// Log writes a line for each download that peers start, complete or stop. Its methods
// are safe for concurrent use. [Log.Run] must run, because it writes the entries.
type Log struct {
	opts Options
	seed maphash.Seed
	file rotated

	dropped atomic.Uint64
	failed  atomic.Uint64

	queueMu sync.Mutex
	queue   [][]byte          // buffers of lines that wait for Run; guarded by queueMu
	queued  int               // number of lines in queue; guarded by queueMu
	spare   [][]byte          // unused buffers; guarded by queueMu
	drained [][]byte          // memory for the next queue; guarded by queueMu
	clients map[uint64]string // names of clients by the first 8 bytes of peer ids; guarded by queueMu
	wake    chan struct{}     // an entry waits
	full    chan struct{}     // Run should write at once
}

const (
	// gather is the time that an entry waits so that others are written with it.
	gather = 100 * time.Millisecond
	// bufferSize is the size in bytes at which a buffer of the queue is full and is
	// written without waiting for gather. maxSpare limits the number of unused
	// buffers; a queue of the default size needs about that many.
	bufferSize = 32 << 10
	maxSpare   = 16
	// maxClients limits the number of names of clients in memory.
	maxClients = 1024
)

// Open opens the log at path. It creates the file if needed, and appends to an existing
// one. The caller must close the log.
func Open(path string, o Options) (*Log, error) {
	switch {
	case o.Privacy > PrivacyNone:
		return nil, fmt.Errorf("download log: unknown privacy %d", o.Privacy)
	case o.MaxSize < 0 || o.Queue < 0:
		return nil, fmt.Errorf("download log: negative limit (size %d, queue %d)", o.MaxSize, o.Queue)
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
	l := &Log{
		opts: o, seed: maphash.MakeSeed(), file: rotated{path: path, maxSize: o.MaxSize, keep: max(o.Keep, 0)},
		clients: map[uint64]string{}, wake: make(chan struct{}, 1), full: make(chan struct{}, 1),
	}
	if err := l.file.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// Observe adds an entry if an announce started, completed or stopped a download. It
// never waits for the disk. Once its buffers have grown it allocates nothing.
func (l *Log) Observe(o *tracker.Observation) {
	event := ""
	switch {
	case o.Refused:
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
	if first || len(l.queue[last]) >= bufferSize {
		many = !first
		l.queue = append(l.queue, l.buffer())
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

// buffer returns an empty buffer. The caller holds queueMu.
func (l *Log) buffer() []byte {
	n := len(l.spare)
	if n == 0 {
		return make([]byte, 0, bufferSize+bufferSize/4)
	}
	b := l.spare[n-1]
	l.spare = l.spare[:n-1]
	return b[:0]
}

// signal wakes the current or the next receiver of c, which has a buffer of one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run writes the entries until ctx is done. An entry is written within a tenth of a
// second; those that wait when ctx is done are written before Run returns. The error is
// always nil; errors of the disk are counted, see [Log.Lost].
func (l *Log) Run(ctx context.Context) error {
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

// flush writes the entries that wait, and returns their number.
func (l *Log) flush() int {
	l.queueMu.Lock()
	buffers, n := l.queue, l.queued
	l.queue, l.queued = l.drained, 0
	l.queueMu.Unlock()
	for _, b := range buffers {
		l.failed.Add(uint64(l.file.write(b)))
	}
	l.queueMu.Lock()
	defer l.queueMu.Unlock()
	l.spare = append(l.spare, buffers[:min(len(buffers), maxSpare-len(l.spare))]...)
	clear(buffers)
	l.drained = buffers[:0]
	return n
}

// Reopen closes the file and opens the one that is now at the path. A program that
// rotates the log itself renames the file and then calls Reopen.
func (l *Log) Reopen() error { return l.file.reopen() }

// Lost returns the numbers of entries that were lost: dropped because the disk was too
// slow, failed because writing failed.
func (l *Log) Lost() (dropped, failed uint64) { return l.dropped.Load(), l.failed.Load() }

// Close closes the file. The caller must wait until Run has returned.
func (l *Log) Close() error { return l.file.close() }
