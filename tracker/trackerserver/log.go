package trackerserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"spate"
	"spate/tracker"
)

// Privacy is how much of an address an [ActivityLog] keeps.
type Privacy uint8

// The kinds of privacy. The zero value is the one in the middle.
const (
	PrivacyNetwork Privacy = iota // the /24 or /48, with the rest zero
	PrivacyFull                   // the address
	PrivacyNone                   // nothing of it, and no user
)

// ParsePrivacy reads "network", "full" or "none".
func ParsePrivacy(s string) (Privacy, error) {
	for p, name := range [...]string{"network", "full", "none"} {
		if s == name {
			return Privacy(p), nil
		}
	}
	return 0, fmt.Errorf("privacy %q: want network, full or none", s)
}

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

// Activity is an entry of the log: a line of JSON.
type Activity struct {
	Time time.Time `json:"time"`
	// Event is "started", "completed" or "stopped".
	Event    string `json:"event"`
	InfoHash string `json:"info_hash"`
	Name     string `json:"name,omitempty"`
	Addr     string `json:"addr,omitempty"` // see Privacy
	// Peer tells the entries of one peer from those of others. It says nothing
	// about who that is, and changes when the tracker is restarted.
	Peer   string `json:"peer"`
	Client string `json:"client,omitempty"`
	User   string `json:"user,omitempty"`
	Via    string `json:"via"`
	// Bytes since the peer started, and those that it still wants; -1: unknown.
	Uploaded   int64 `json:"uploaded"`
	Downloaded int64 `json:"downloaded"`
	Left       int64 `json:"left"`
}

// ActivityLog writes who started, completed and stopped a download. Observe is
// for Options.Observe; Run writes, many entries at once.
type ActivityLog struct {
	path string
	opts ActivityOptions
	seed maphash.Seed

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

	mu   sync.Mutex // guards the file
	file *os.File
	size int64
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
	l := &ActivityLog{path: path, opts: o, seed: maphash.MakeSeed(), clients: map[uint64]string{}, wake: make(chan struct{}, 1), full: make(chan struct{}, 1)}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *ActivityLog) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, st.Size()
	return l.mend()
}

// mend ends a line that a crash tore, so that it does not spoil the next.
func (l *ActivityLog) mend() error {
	if l.size == 0 {
		return nil
	}
	r, err := os.Open(l.path)
	if err != nil {
		return nil // a log that may only be written: a line may be lost
	}
	defer r.Close()
	var last [1]byte
	if _, err := r.ReadAt(last[:], l.size-1); err != nil || last[0] == '\n' {
		return nil
	}
	n, err := l.file.Write([]byte("\n"))
	l.size += int64(n)
	return err
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

// appendEntry appends the line of an entry: [Activity] as JSON.
func (l *ActivityLog) appendEntry(b []byte, event string, o *Observation) []byte {
	r := o.Request
	b = append(b, `{"time":"`...)
	b = o.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","event":"`...)
	b = append(b, event...)
	b = append(b, `","info_hash":"`...)
	b = hex.AppendEncode(b, r.InfoHash[:])
	b = append(b, '"')
	if o.Note != nil {
		b = appendMember(b, `,"name":`, o.Note.Name)
	}
	if l.opts.Privacy != PrivacyNone {
		b = append(b, `,"addr":"`...)
		b = l.address(o.Peer.Addr()).AppendTo(b)
		b = append(b, '"')
	}
	b = append(b, `,"peer":"`...)
	peer := l.pseudonym(o)
	b = hex.AppendEncode(b, peer[:])
	b = append(b, '"')
	b = appendMember(b, `,"client":`, l.client(&r.PeerID))
	if l.opts.Privacy != PrivacyNone {
		b = appendMember(b, `,"user":`, o.User)
	}
	b = append(b, `,"via":"`...)
	b = append(b, o.Transport.String()...)
	b = append(b, `","uploaded":`...)
	b = strconv.AppendInt(b, r.Uploaded, 10)
	b = append(b, `,"downloaded":`...)
	b = strconv.AppendInt(b, r.Downloaded, 10)
	b = append(b, `,"left":`...)
	b = strconv.AppendInt(b, r.Left, 10)
	return append(b, "}\n"...)
}

// appendMember appends a member of a JSON object unless its value is empty.
func appendMember(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, key...)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, _ := json.Marshal(value) // a string has JSON
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}

// client is the name of a peer's program. Known ones cost no memory.
func (l *ActivityLog) client(id *spate.PeerID) string {
	head := binary.BigEndian.Uint64(id[:8])
	name, ok := l.clients[head]
	if !ok {
		name = id.Client()
		if len(l.clients) < maxClients {
			l.clients[head] = name
		}
	}
	return name
}

// address is as much of an address as is kept.
func (l *ActivityLog) address(a netip.Addr) netip.Addr {
	if l.opts.Privacy == PrivacyFull {
		return a
	}
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}

// pseudonym is the same for all announces of a peer to a swarm.
func (l *ActivityLog) pseudonym(o *Observation) (p [8]byte) {
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.Write(o.Request.PeerID[:])
	h.Write(o.Request.InfoHash[:])
	binary.BigEndian.PutUint64(p[:], h.Sum64())
	return p
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
		l.write(p)
	}
	l.queueMu.Lock()
	defer l.queueMu.Unlock()
	l.spare = append(l.spare, parts[:min(len(parts), maxSpare-len(l.spare))]...)
	clear(parts)
	l.drained = parts[:0]
	return n
}

// write appends lines, to the next file where this one is full. A log that
// cannot be written loses entries, and counts them.
func (l *ActivityLog) write(lines []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(lines) > 0 {
		part := lines[:cut(lines, l.opts.MaxSize-l.size)]
		if len(part) == 0 && l.file != nil && l.size > 0 {
			l.rotate()
		}
		if l.file == nil {
			if err := l.open(); err != nil {
				l.failed.Add(uint64(bytes.Count(lines, []byte{'\n'})))
				return
			}
			continue
		}
		if len(part) == 0 { // a line longer than a file, or one that could not be renamed
			part = lines[:bytes.IndexByte(lines, '\n')+1]
		}
		w, err := l.file.Write(part)
		l.size += int64(w)
		if err != nil {
			l.failed.Add(uint64(bytes.Count(part[w:], []byte{'\n'})))
		}
		lines = lines[len(part):]
	}
}

// cut is the length of the whole lines that room has room for.
func cut(lines []byte, room int64) int {
	if int64(len(lines)) <= room {
		return len(lines)
	}
	return bytes.LastIndexByte(lines[:max(room, 0)], '\n') + 1
}

// rotate closes the file and renames all, each to the next number. Where that
// fails the file grows on.
func (l *ActivityLog) rotate() {
	l.file.Close() // what was written is written
	l.file = nil
	name := func(i int) string {
		if i == 0 {
			return l.path
		}
		return l.path + "." + strconv.Itoa(i)
	}
	keep := max(l.opts.Keep, 0)
	if err := os.Remove(name(keep)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	for i := keep; i > 0; i-- {
		if err := os.Rename(name(i-1), name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// Reopen goes on with a new file at the path, for who rotates logs himself.
func (l *ActivityLog) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close() // what was written is written
		l.file = nil
	}
	return l.open()
}

// Lost returns how many entries were dropped because the disk was too slow, and
// how many because it failed.
func (l *ActivityLog) Lost() (dropped, failed uint64) { return l.dropped.Load(), l.failed.Load() }

// Close closes the file. Call it after Run has returned.
func (l *ActivityLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// ActivityFiles returns the log at path and its older files, the oldest first.
func ActivityFiles(path string) []string {
	var files []string
	for i := 1; ; i++ {
		name := path + "." + strconv.Itoa(i)
		if _, err := os.Stat(name); err != nil {
			break
		}
		files = append([]string{name}, files...)
	}
	return append(files, filepath.Clean(path))
}
