package announce

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"spate"
	"spate/internal/atomicfile"
	"spate/tracker"
)

// record is the file that keeps the paces of trackers over restarts, so that a program that is
// started again and again does not ask trackers more often than one that stays. It holds only
// trackers that may not be asked yet. Several processes can use one file: each adds its entries
// to those of the others. Entries that two processes save at the same moment may be lost, which
// costs an early announce.
type record struct {
	path  string
	dirty chan struct{} // receives a value when an entry has changed

	once sync.Once  // reads the file
	mu   sync.Mutex // held while the file is written
}

// Bounds of the record.
const (
	maxRecord      = 16 << 20 // bytes
	maxEntries     = 20_000
	maxWithPeers   = 1000 // entries that keep their peers
	maxKeptReason  = 300  // bytes
	saveEvery      = 200 * time.Millisecond
	clockTolerance = 10 * time.Second // an entry that is further in the future is ignored: the clock was changed
)

// entry is one tracker of one swarm in the record.
type entry struct {
	InfoHash   string           `json:"info_hash"`
	URL        string           `json:"url"`
	Last       int64            `json:"last"` // time of the last announce, in Unix milliseconds
	Wait       int64            `json:"wait"` // time until the next, in milliseconds
	Port       uint16           `json:"port"`
	Failures   int32            `json:"failures,omitempty"`
	Reason     string           `json:"reason,omitempty"` // why the last announce failed
	Complete   int              `json:"complete"`
	Incomplete int              `json:"incomplete"`
	Named      bool             `json:"named,omitempty"` // an answer has named peers
	Peers      []netip.AddrPort `json:"peers,omitempty"`
}

func (e *entry) key() [2]string { return [2]string{e.InfoHash, e.URL} }

// current reports whether the entry still matters.
func (e *entry) current(now time.Time) bool {
	last, wait := time.UnixMilli(e.Last), time.Duration(e.Wait)*time.Millisecond
	return e.Wait > 0 && e.Wait <= longestWait.Milliseconds() && !last.After(now.Add(clockTolerance)) && now.Before(last.Add(wait)) && len(e.Peers) <= maxKeptPeers
}

// recordedError is the error of a tracker that an earlier process has asked.
type recordedError string

func (e recordedError) Error() string { return string(e) }

// readRecord reads the record once.
func (s *Scheduler) readRecord() {
	if s.record.path == "" {
		return
	}
	s.record.once.Do(func() {
		now := time.Now()
		all := s.loadEntries()
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range all {
			e := &all[i]
			ih, err := spate.ParseInfoHash(e.InfoHash)
			if err == nil && e.current(now) {
				s.past.keep(ih, e.pace(now), now)
			}
		}
	})
}

// loadEntries returns the entries in the file. It sets aside a damaged file.
func (s *Scheduler) loadEntries() (all []entry) {
	err := atomicfile.Load(s.record.path, maxRecord, func(b []byte) error {
		all = nil
		return json.Unmarshal(b, &all)
	})
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.opt.Log.Warn("the times of the last announces cannot be used, so trackers may be asked early", "err", err)
		}
		return nil
	}
	return all
}

// pace returns the pace that e records.
func (e *entry) pace(now time.Time) *pace {
	ago := max(0, now.Sub(time.UnixMilli(e.Last)))
	p := &pace{
		url: e.URL, last: now.Add(-ago), restart: time.Duration(e.Wait) * time.Millisecond, port: e.Port,
		failures: max(0, e.Failures), peers: e.Named,
		kept: &lastAnswer{peers: e.Peers, complete: e.Complete, incomplete: e.Incomplete},
	}
	if e.Reason != "" {
		p.kept.err = recordedError(e.Reason)
	}
	return p
}

// entryOf returns the entry that records p.
func entryOf(ih spate.InfoHash, p *pace, port uint16, now time.Time) entry {
	// The time is rounded up, so that no tracker is asked too soon.
	last := now.Add(-now.Sub(p.last) + time.Millisecond - 1).UnixMilli()
	e := entry{
		InfoHash: ih.String(), URL: p.url, Last: last, Wait: p.restart.Milliseconds(), Port: port,
		Failures: p.failures, Named: p.peers, Complete: tracker.Unknown, Incomplete: tracker.Unknown,
	}
	if p.kept != nil {
		e.Complete, e.Incomplete, e.Peers = p.kept.complete, p.kept.incomplete, p.kept.peers
		if p.kept.err != nil {
			reason := p.kept.err.Error()
			e.Reason = strings.ToValidUTF8(reason[:min(len(reason), maxKeptReason)], "")
		}
	}
	return e
}

// changed makes the record be saved soon.
func (s *Scheduler) changed() {
	if s.record.path == "" {
		return
	}
	select {
	case s.record.dirty <- struct{}{}:
	default:
	}
}

// keepRecord saves the record soon after each change until ctx is done.
func (s *Scheduler) keepRecord(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.record.dirty:
		}
		began := time.Now()
		s.SaveRecord()
		if !pause(ctx, max(saveEvery, 20*time.Since(began))) {
			return
		}
	}
}

// SaveRecord saves the record.
func (s *Scheduler) SaveRecord() {
	if s.record.path == "" {
		return
	}
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	now := time.Now()
	own := s.ownEntries(now)
	known := map[[2]string]bool{}
	for i := range own {
		known[own[i].key()] = true
	}
	all := own
	before := s.loadEntries()
	if len(own)+len(before) == 0 {
		return
	}
	for _, e := range before {
		if !known[e.key()] {
			all = append(all, e)
		}
	}
	all = slices.DeleteFunc(all, func(e entry) bool { return !e.current(now) })
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(b.Last, a.Last) })
	all = all[:min(len(all), maxEntries)]
	for i := maxWithPeers; i < len(all); i++ {
		all[i].Peers = nil
	}
	b, err := json.Marshal(all)
	if err == nil {
		err = atomicfile.Write(s.record.path, b)
	}
	if err != nil {
		s.opt.Log.Info("saving the times of the last announces", "err", err)
	}
}

// ownEntries returns the entries of the swarms of this process.
func (s *Scheduler) ownEntries(now time.Time) (own []entry) {
	port := max(1, s.opt.Port())
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, p := range s.past.by {
		if p.port == 0 { // the others are in the file, and another process may have changed them
			own = append(own, entryOf(k.hash, p, port, now))
		}
	}
	add := func(w *Swarm) {
		for _, p := range w.paces {
			if now.Before(p.last.Add(p.restart)) {
				own = append(own, entryOf(w.hash, p, port, now))
			}
		}
	}
	for _, w := range s.queue {
		add(w)
	}
	for w := range s.unqueued {
		add(w)
	}
	return own
}
