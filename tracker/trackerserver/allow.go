package trackerserver

import (
	"fmt"
	"iter"
	"sync"

	"spate"
	"spate/tracker"
)

// source is a source of allowed torrents. A torrent is allowed as long as one source
// allows it.
type source uint8

const (
	fromCaller source = 1 << iota // Server.Allow
	fromDir                       // Options.AllowedDir
	fromList                      // Options.AllowList
	fromDenied                    // Options.DenyList, which overrides the others
)

// allowSet holds the torrents that are allowed or denied. Its methods are safe for
// concurrent use.
type allowSet struct {
	shards [64]struct {
		sync.RWMutex
		m map[spate.InfoHash]*admission // guarded by RWMutex
	}
}

// admission records which sources have a torrent. It is replaced and never changed once
// it is in the set.
type admission struct {
	sources source
	notes   [3]*tracker.Note // notes of the sources, in the order of the constants
}

// allowed reports whether a source other than DenyList has the torrent.
func (a *admission) allowed() bool { return a != nil && a.sources&^fromDenied != 0 }

// note returns the note of the first source that has one, or nil.
func (a *admission) note() *tracker.Note {
	if a != nil {
		for _, n := range a.notes {
			if n != nil {
				return n
			}
		}
	}
	return nil
}

// get returns nil for a torrent that no source has.
func (s *allowSet) get(ih *spate.InfoHash) *admission {
	sh := &s.shards[ih[0]&63]
	sh.RLock()
	defer sh.RUnlock()
	return sh.m[*ih]
}

// add adds ih to a source. note may be nil.
func (s *allowSet) add(ih spate.InfoHash, from source, note *tracker.Note) {
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

// remove removes ih from a source. It reports whether this was the last source that
// allowed ih.
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

// all iterates over the set. The loop body may change it.
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

// Allow allows the torrent ih and protects its swarm, so that it is not evicted for
// others. Another call replaces the note. The error wraps that of the store's Protect,
// [swarm.ErrFull] for a table that has no space for another protected swarm.
func (s *Server) Allow(ih spate.InfoHash, note tracker.Note) error {
	return s.allow(ih, fromCaller, &note)
}

func (s *Server) allow(ih spate.InfoHash, from source, note *tracker.Note) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.store.Protect(ih); err != nil {
		return fmt.Errorf("allow %v: %w", ih, err)
	}
	s.allowed.add(ih, from, note)
	return nil
}

// Disallow undoes Allow. The torrent stays allowed if Options.AllowedDir or
// Options.AllowList has it. Its counters stay in the store for a while.
func (s *Server) Disallow(ih spate.InfoHash) { s.disallow(ih, fromCaller) }

func (s *Server) disallow(ih spate.InfoHash, from source) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.allowed.remove(ih, from) {
		s.store.Unprotect(ih)
	}
}

// Note returns the note of ih, which is zero if no source gave one. ok is false if no
// source allows ih.
func (s *Server) Note(ih spate.InfoHash) (note tracker.Note, ok bool) {
	a := s.allowed.get(&ih)
	if !a.allowed() {
		return tracker.Note{}, false
	}
	if n := a.note(); n != nil {
		note = *n
	}
	return note, true
}

// Allowed iterates over the torrents that a source allows, in any order. A torrent that is
// allowed or disallowed in the meantime may be missed.
func (s *Server) Allowed() iter.Seq2[spate.InfoHash, tracker.Note] {
	return func(yield func(spate.InfoHash, tracker.Note) bool) {
		for ih, a := range s.allowed.all() {
			if !a.allowed() {
				continue
			}
			var note tracker.Note
			if n := a.note(); n != nil {
				note = *n
			}
			if !yield(ih, note) {
				return
			}
		}
	}
}
