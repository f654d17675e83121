package announce

import "time"

// Need says how much a torrent needs peers.
type Need struct {
	// Leechers means that only leechers are useful to the torrent, because it seeds.
	Leechers bool
	// Since is when the torrent began to need other peers. Announces become rarer with the
	// time since then. If it is zero, they do not.
	Since time.Time
}

// needPart is the part of the time since Need.Since that passes between two announces.
const needPart = 4

// Hurry announces the swarms of a torrent that needs peers as soon as the trackers allow: after
// "min interval", or after the interval if a tracker sets no minimum (BEP 15). It changes
// nothing during an announce or after a failed one, nor for a seed if the trackers know no
// leechers.
func (s *Scheduler) Hurry(swarms []*Swarm, need Need) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range swarms {
		if need.Leechers && (w.status == nil || w.status.Incomplete <= 0) {
			continue
		}
		least := time.Duration(0)
		if !need.Since.IsZero() {
			least = w.last().Sub(need.Since) / needPart
		}
		s.hurryLocked(w, least)
	}
}

// hurryLocked announces a swarm as soon as the trackers allow, and at least after the time least
// and minGap since the last announce.
func (s *Scheduler) hurryLocked(w *Swarm, least time.Duration) {
	last := w.last()
	if !w.active || w.ongoing != nil || w.failed || last.IsZero() {
		return
	}
	at := last.Add(max(minGap, least))
	if allowed := w.allowed(at); at.Before(allowed) {
		at = allowed
	}
	if at.Before(w.next) {
		s.scheduleLocked(w, at)
	}
}

// Repeat announces the swarms again as soon as the trackers allow, because a value in the
// announces, such as the port, has changed.
func (s *Scheduler) Repeat(swarms []*Swarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range swarms {
		w.repeat = w.ongoing != nil
		s.hurryLocked(w, 0)
	}
}
