package announce

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"spate"
	"spate/tracker"
)

// Stop announces the event "stopped" for the swarms. Before that it announces "completed" to
// trackers that were not told yet. It returns when all trackers have answered, or after five
// seconds.
func (s *Scheduler) Stop(swarms []*Swarm) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	tokens := make(chan struct{}, cap(s.tokens))
	var wg sync.WaitGroup
	for _, w := range swarms {
		ongoing, active, completed := s.deactivate(w)
		if !active {
			continue
		}
		tokens <- struct{}{}
		wg.Go(func() {
			defer func() { <-tokens }()
			defer s.retire(w)
			if ongoing != nil {
				select {
				case <-ongoing:
				case <-ctx.Done():
					return
				}
				completed = s.takeCompleted(w) || completed
			}
			events := []tracker.Event{tracker.EventCompleted, tracker.EventStopped}
			if !completed {
				events = events[1:]
			}
			for _, e := range events {
				req := s.request(w, e)
				if _, _, err := w.tiers.Announce(ctx, &caller{s: s, swarm: w, found: s.found(w), urgent: true}, &req); err != nil {
					s.owner(w).Log().Debug("announcing the stop", "err", err)
				}
			}
		})
	}
	wg.Wait()
}

// retire keeps the paces of a swarm that is not announced any more.
func (s *Scheduler) retire(w *Swarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, p := range w.paces {
		if !p.last.IsZero() {
			s.past.keep(w.hash, p, now)
		}
	}
	w.paces = nil
	s.changed()
}

// deactivate ends the announces of a swarm. ongoing is closed when the announce in progress
// ends, and nil if there is none. active reports whether the swarm was active, and completed
// whether the event "completed" must still be announced.
func (s *Scheduler) deactivate(w *Swarm) (ongoing <-chan struct{}, active, completed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	active, w.active = w.active, false
	completed, w.completed, w.urgent = w.completed, false, false
	if w.index >= 0 {
		heap.Remove(&s.queue, int(w.index))
	}
	if w.ongoing != nil {
		ongoing = w.ongoing.done
		if !completed {
			w.ongoing.cancel()
		}
	}
	return ongoing, active, completed
}

// takeCompleted reports whether the announce that deactivate canceled had the event
// "completed", which must then be announced again.
func (s *Scheduler) takeCompleted(w *Swarm) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	completed := w.completed
	w.completed = false
	return completed
}

// Leave announces "stopped" to the trackers that list this peer because of [Scheduler.Poll],
// for swarms that no torrent was started for. It takes at most five seconds.
func (s *Scheduler) Leave() {
	type listing struct {
		hash spate.InfoHash
		url  string
		id   string
	}
	var all []listing
	s.mu.Lock()
	for k, p := range s.past.by {
		if p.listed {
			all = append(all, listing{k.hash, k.url, p.kept.id})
			p.listed, p.restart = false, p.floor()
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	tokens := make(chan struct{}, cap(s.tokens))
	var wg sync.WaitGroup
	for _, l := range all {
		tokens <- struct{}{}
		wg.Go(func() {
			defer func() { <-tokens }()
			req := s.newRequest(l.hash)
			req.Left, req.Event, req.NumWant, req.TrackerID = tracker.Unknown, tracker.EventStopped, 0, l.id
			s.opt.Client.Announce(ctx, l.url, &req)
		})
	}
	wg.Wait()
}
