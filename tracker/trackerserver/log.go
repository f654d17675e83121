package trackerserver

import (
	"context"
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
	// Queue bounds the entries that wait for the disk; 0: 4096. What does not
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
// for Options.Observe; Run writes.
type ActivityLog struct {
	path  string
	opts  ActivityOptions
	queue chan Activity
	seed  maphash.Seed

	dropped atomic.Uint64
	failed  atomic.Uint64

	mu   sync.Mutex // guards the file
	file *os.File
	size int64
}

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
		o.Queue = 4096
	}
	l := &ActivityLog{path: path, opts: o, queue: make(chan Activity, o.Queue), seed: maphash.MakeSeed()}
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
	r := o.Request
	a := Activity{
		Time: o.Time.UTC(), Event: event, InfoHash: r.InfoHash.String(), Peer: l.pseudonym(o),
		Client: r.PeerID.Client(), Via: o.Transport.String(),
		Uploaded: r.Uploaded, Downloaded: r.Downloaded, Left: r.Left,
	}
	if o.Note != nil {
		a.Name = o.Note.Name
	}
	if l.opts.Privacy != PrivacyNone {
		a.Addr, a.User = l.address(o.Peer.Addr()), o.User
	}
	select {
	case l.queue <- a:
	default:
		l.dropped.Add(1)
	}
}

// address is as much of an address as is kept.
func (l *ActivityLog) address(a netip.Addr) string {
	if l.opts.Privacy == PrivacyFull {
		return a.String()
	}
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.Addr().String()
}

// pseudonym is the same for all announces of a peer to a swarm.
func (l *ActivityLog) pseudonym(o *Observation) string {
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.Write(o.Request.PeerID[:])
	h.Write(o.Request.InfoHash[:])
	return hex.EncodeToString(h.Sum(nil))
}

// Run writes what Observe notes until ctx is done, then what is left.
func (l *ActivityLog) Run(ctx context.Context) error {
	for {
		select {
		case a := <-l.queue:
			l.write(a)
		case <-ctx.Done():
			for {
				select {
				case a := <-l.queue:
					l.write(a)
				default:
					return nil
				}
			}
		}
	}
}

// write appends an entry, to the next file where this one is full. A log that
// cannot be written loses entries, and counts them.
func (l *ActivityLog) write(a Activity) {
	line, err := json.Marshal(a)
	if err != nil {
		l.failed.Add(1)
		return
	}
	line = append(line, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.size > 0 && l.size+int64(len(line)) > l.opts.MaxSize {
		l.rotate()
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			l.failed.Add(1)
			return
		}
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	if err != nil {
		l.failed.Add(1)
	}
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
