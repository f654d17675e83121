package announce

import (
	"context"
	"time"

	"spate"
	"spate/discovery"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// Poll asks the tracker at url for peers of a swarm whose metadata is not known yet, as
// often as the tracker allows, until ctx is done. Options.MaxAnnounces does not bound these
// announces.
func (s *Scheduler) Poll(ctx context.Context, url string, hash spate.InfoHash, to Receiver) {
	tiers := trackerclient.NewTiers([][]string{{url}}, nil)
	event := tracker.EventStarted
	found := func(peer discovery.Candidate, url string) {
		if ctx.Err() == nil {
			to.Found(peer, url)
		}
	}
	for n := 1; ; n++ {
		req := s.newRequest(hash)
		req.Left, req.Event = tracker.Unknown, event
		announceCtx, cancel := context.WithTimeout(ctx, timeout)
		resp, _, err := tiers.Announce(announceCtx, caller{s.opt.Client, nil, found}, &req)
		cancel()
		wait := retryAfter(err, n)
		if err == nil {
			n = 0
			wait = max(minGap, resp.MinInterval)
			to.Answered(resp, url)
		} else if ctx.Err() == nil {
			to.Log().Info("announce failed", "info_hash", hash, "err", err)
		}
		event = tracker.EventNone
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
