package trackerserver

import (
	"fmt"
	"iter"
	"sync"

	"spate"
)

// Note is what is known about a torrent that this tracker serves.
type Note struct {
	Name string
	Size int64 // of the data, in bytes
	// Pair is the other info-hash of a hybrid torrent: one release, two swarms.
	Pair spate.InfoHash
	// Torrent is the path of its .torrent file, "" where there is none.
	Torrent string
	// Warning is told to those who announce it; Failure refuses them with that
	// reason.
	Warning, Failure string
}

// source is where an admission comes from. A torrent that several sources allow
// is allowed until the last of them takes that back.
type source uint8

const (
	fromCaller source = 1 << iota // Allow
	fromDir                       // the allowed directory
	fromList                      // the list of allowed hashes
	fromDenied                    // the list of denied hashes, which wins
)

// allowSet is the torrents that are admitted, and those that are refused. Its
// methods may be called concurrently.
type allowSet struct {
	shards [64]struct {
		sync.RWMutex
		m map[spate.InfoHash]*admission // guarded by RWMutex
	}
}

// admission is immutable once it is in the set: a change replaces it.
type admission struct {
	sources source
	notes   [3]*Note // by source, in the order of the constants
}

// note returns the note of the source that ranks first.
func (a *admission) note() *Note {
	if a != nil {
		for _, n := range a.notes {
			if n != nil {
				return n
			}
		}
	}
	return nil
}

// get returns nil for a torrent that no source speaks of.
func (s *allowSet) get(ih *spate.InfoHash) *admission {
	sh := &s.shards[ih[0]&63]
	sh.RLock()
	defer sh.RUnlock()
	return sh.m[*ih]
}

// add lets source from speak for ih; note may be nil.
func (s *allowSet) add(ih spate.InfoHash, from source, note *Note) {
	sh := &s.shards[ih[0]&63]
	sh.Lock()
	defer sh.Unlock()
	var a admission
	if old := sh.m[ih]; old != nil {
		a = *old
	}
	a.sources |= from
	for i := range a.notes {
		if from == 1<<i {
			a.notes[i] = note
		}
	}
	if sh.m == nil {
		sh.m = map[spate.InfoHash]*admission{}
	}
	sh.m[ih] = &a
}

// remove takes back what from said of ih. It reports whether no source is left
// that allows it, where there was one before.
func (s *allowSet) remove(ih spate.InfoHash, from source) (gone bool) {
	sh := &s.shards[ih[0]&63]
	sh.Lock()
	defer sh.Unlock()
	old := sh.m[ih]
	if old == nil || old.sources&from == 0 {
		return false
	}
	a := *old
	a.sources &^= from
	for i := range a.notes {
		if from == 1<<i {
			a.notes[i] = nil
		}
	}
	if a.sources == 0 {
		delete(sh.m, ih)
	} else {
		sh.m[ih] = &a
	}
	return from != fromDenied && a.sources&^fromDenied == 0
}

// all iterates over a copy of each shard in turn.
func (s *allowSet) all() iter.Seq2[spate.InfoHash, *admission] {
	return func(yield func(spate.InfoHash, *admission) bool) {
		type pair struct {
			ih spate.InfoHash
			a  *admission
		}
		var batch []pair
		for i := range s.shards {
			sh := &s.shards[i]
			batch = batch[:0]
			sh.RLock()
			for ih, a := range sh.m {
				batch = append(batch, pair{ih, a})
			}
			sh.RUnlock()
			for _, p := range batch {
				if !yield(p.ih, p.a) {
					return
				}
			}
		}
	}
}

// Allow admits the torrent ih: its announces are answered even where only
// allowed ones are, and its swarm is never evicted for others. Calling it again
// replaces the note. It fails when the table has no room for another protected
// swarm.
func (s *Server) Allow(ih spate.InfoHash, note Note) error {
	return s.allow(ih, fromCaller, &note)
}

func (s *Server) allow(ih spate.InfoHash, from source, note *Note) error {
	s.changing.Lock() // what the set says and what the table protects go together
	defer s.changing.Unlock()
	if err := s.table.Protect(ih); err != nil {
		return fmt.Errorf("allow %v: %w", ih, err)
	}
	s.allowed.add(ih, from, note)
	return nil
}

// Disallow takes Allow back: the torrent is refused where only allowed ones are
// answered, unless the allowed directory or list has it too. Its counters stay
// in the table for a while.
func (s *Server) Disallow(ih spate.InfoHash) { s.disallow(ih, fromCaller) }

func (s *Server) disallow(ih spate.InfoHash, from source) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.allowed.remove(ih, from) {
		s.table.Unprotect(ih)
	}
}

// Note returns what is known about ih; ok is false for a torrent that nobody
// allowed.
func (s *Server) Note(ih spate.InfoHash) (note Note, ok bool) {
	a := s.allowed.get(&ih)
	if a == nil || a.sources&^fromDenied == 0 {
		return Note{}, false
	}
	if n := a.note(); n != nil {
		note = *n
	}
	return note, true
}

// Allowed iterates over the torrents that are allowed, in no order.
func (s *Server) Allowed() iter.Seq2[spate.InfoHash, Note] {
	return func(yield func(spate.InfoHash, Note) bool) {
		for ih, a := range s.allowed.all() {
			if a.sources&^fromDenied == 0 {
				continue
			}
			var note Note
			if n := a.note(); n != nil {
				note = *n
			}
			if !yield(ih, note) {
				return
			}
		}
	}
}
