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
func (s *Scheduler) Stop(swarms []*Swarm) { s.sayStopped(s.deactivate(swarms)) }

// Halt is like Stop but returns at once. The swarms can be started again at any time.
func (s *Scheduler) Halt(swarms []*Swarm) {
	all := s.deactivate(swarms)
	if len(all) == 0 || s.opt.Go(func() { s.sayStopped(all) }) {
		return
	}
	for _, one := range all {
		s.retire(one.w)
	}
}

// stopping is a swarm that is stopped but has not said so yet.
type stopping struct {
	w         *Swarm
	ongoing   <-chan struct{} // closed when the announce in progress ends; nil if there is none
	completed bool            // "completed" must still be announced
}

// deactivate ends the announces of the swarms, and returns those that were active.
func (s *Scheduler) deactivate(swarms []*Swarm) (all []stopping) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range swarms {
		if !w.active {
			continue
		}
		one := stopping{w: w, completed: w.completed}
		w.active, w.completed, w.urgent = false, false, false
		w.stops++
		if w.index >= 0 {
			heap.Remove(&s.queue, int(w.index))
		}
		if w.ongoing != nil {
			one.ongoing = w.ongoing.done
			if !one.completed {
				w.ongoing.cancel()
			}
		}
		all = append(all, one)
	}
	return all
}

// sayStopped announces that swarms were stopped.
func (s *Scheduler) sayStopped(all []stopping) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	tokens := make(chan struct{}, cap(s.tokens))
	var wg sync.WaitGroup
	for _, one := range all {
		tokens <- struct{}{}
		wg.Go(func() {
			defer func() { <-tokens }()
			defer s.retire(one.w)
			if one.ongoing != nil {
				select {
				case <-one.ongoing:
				case <-ctx.Done():
					return
				}
			}
			events := []tracker.Event{tracker.EventCompleted, tracker.EventStopped}
			if !s.takeCompleted(one.w) && !one.completed {
				events = events[1:]
			}
			for _, e := range events {
				req := s.request(one.w, e)
				if _, _, err := one.w.tiers.Announce(ctx, &caller{s: s, swarm: one.w, found: s.found(one.w), urgent: true}, &req); err != nil {
					s.owner(one.w).Log().Debug("announcing the stop", "err", err)
				}
			}
		})
	}
	wg.Wait()
}

// retire keeps the paces of a swarm that has stopped.
func (s *Scheduler) retire(w *Swarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	w.stops--
	defer s.changed()
	if w.active { // it was started again
		return
	}
	for _, p := range w.paces {
		if !p.last.IsZero() {
			s.past.keep(w.hash, p, now)
		}
	}
	w.paces = nil
}

// takeCompleted reports whether the announce that deactivate canceled had the event
// "completed", which must then be announced again.
func (s *Scheduler) takeCompleted(w *Swarm) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.active {
		return false
	}
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
			l := listing{hash: k.hash, url: k.url}
			if p.kept != nil {
				l.id = p.kept.id
			}
			all = append(all, l)
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
			if IsWebSocket(l.url) {
				s.announceSignals(ctx, l.url, &req)
			} else {
				s.opt.Client.Announce(ctx, l.url, &req)
			}
		})
	}
	wg.Wait()
}
