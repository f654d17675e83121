package announce

import (
	"container/heap"
	"context"
	"sync"

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
				if _, _, err := w.tiers.Announce(ctx, caller{s.opt.Client, nil, s.found(w)}, &req); err != nil {
					s.owner(w).Log().Debug("announcing the stop", "err", err)
				}
			}
		})
	}
	wg.Wait()
}

// deactivate ends the announces of a swarm. ongoing is closed when the announce in progress
// ends, and nil if there is none. active reports whether the swarm was active, and completed
// whether the event "completed" must still be announced.
func (s *Scheduler) deactivate(w *Swarm) (ongoing <-chan struct{}, active, completed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	active, w.active = w.active, false
	completed, w.completed = w.completed, false
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
