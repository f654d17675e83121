package announce

import (
	"context"
	"time"

	"spate"
	"spate/discovery"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// Searcher searches for the metadata of a swarm. Its methods must be safe for concurrent use.
type Searcher interface {
	Receiver
	// Failed is called with each error of the tracker at url. The next announce is at next.
	Failed(url string, err error, next time.Time)
}

// Poll asks the tracker at url for peers of a swarm whose metadata is not known yet, as
// often as the tracker allows, until ctx is done. Options.MaxAnnounces does not bound these
// announces. A torrent of the swarm that is started afterwards goes on at the same pace.
func (s *Scheduler) Poll(ctx context.Context, url string, hash spate.InfoHash, to Searcher) {
	s.readRecord()
	late := &lateTarget{to: to}
	w := &Swarm{hash: hash, tiers: trackerclient.NewTiers([][]string{{url}}, nil), owner: searchOwner{to}, index: -1}
	p := s.recallPoll(w, url)
	c := &caller{s: s, swarm: w, found: func(peer discovery.Candidate, url string) { s.foundLate(late, peer, url) }}
	wait := time.Until(p.allowed())
	tell(to, url, p.remembered(time.Now()))
	if p.kept != nil && p.kept.err != nil && wait > 0 {
		to.Failed(url, p.kept.err, p.allowed())
	}
	event := tracker.EventStarted
	for pause(ctx, wait) {
		req := s.newRequest(hash)
		req.Left, req.Event = tracker.Unknown, event
		announceCtx, cancel := context.WithTimeout(ctx, timeout)
		resp, _, err := w.tiers.Announce(announceCtx, c, &req)
		cancel()
		event = tracker.EventNone
		s.mu.Lock()
		next := p.allowed()
		p.listed = p.listed || err == nil || ctx.Err() != nil // the tracker may have received a canceled announce
		s.mu.Unlock()
		wait = time.Until(next)
		if err == nil {
			to.Answered(resp, url)
		} else if ctx.Err() == nil {
			to.Log().Info("announce failed", "info_hash", hash, "err", err)
			to.Failed(url, err, next)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.unqueued, w)
	late.to = nil
	if p.kept != nil {
		p.kept.late = late
	}
	if !p.last.IsZero() {
		s.past.keep(hash, p, time.Now())
	}
	s.changed()
}

// recallPoll returns the pace of the only tracker of w.
func (s *Scheduler) recallPoll(w *Swarm, url string) *pace {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unqueued[w] = true
	if p := s.past.take(paceKey{w.hash, url}); p != nil {
		p.resume(max(1, s.opt.Port()))
		w.paces = []*pace{p}
	}
	return w.pace(url)
}

// pause waits for d and returns true, or returns false when ctx is done.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return ctx.Err() == nil
	}
}

// searchOwner is the owner of the swarm of a search.
type searchOwner struct{ Searcher }

func (searchOwner) Progress() (uploaded, downloaded, left int64) { return 0, 0, tracker.Unknown }
func (searchOwner) PartialSeed() bool                            { return false }
func (searchOwner) Dormant() bool                                { return false }
