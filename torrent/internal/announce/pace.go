package announce

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"time"

	"spate"
	"spate/discovery"
	"spate/tracker"
)

// pace decides when one tracker may be asked again about one swarm. It outlives the swarm: a
// torrent that is removed and added again, or a program that is started again, does not ask
// sooner. The lock of the scheduler guards it.
type pace struct {
	url      string
	last     time.Time     // when the last announce except "stopped" was answered, or else sent
	wait     time.Duration // time after last before which no announce is sent
	restart  time.Duration // wait for a torrent that is started again
	failures int32         // announces in a row that failed
	listed   bool          // the tracker lists this peer because of a [Scheduler.Poll]
	peers    bool          // an answer has named peers
	port     uint16        // the port in the last announce; 0 if a torrent of this process sent it
	kept     *lastAnswer   // nil for dormant torrents
}

// lastAnswer holds the outcome of the last announce to a tracker.
type lastAnswer struct {
	peers                []netip.AddrPort // at most maxKeptPeers
	complete, incomplete int
	err                  error  // nil if the tracker answered
	id                   string // the tracker id
	late                 *lateTarget
}

// maxKeptPeers bounds the peers of an answer that are kept for a torrent that is started again
// before it may ask the tracker.
const maxKeptPeers = 50

// allowed returns when the next announce may be sent.
func (p *pace) allowed() time.Time { return p.last.Add(p.wait) }

// floor returns the shortest time between two announces. The author of a torrent chooses its
// tracker, and a short interval would make every peer ask that server all the time.
func (p *pace) floor() time.Duration {
	if p.peers {
		return minGap
	}
	return firstRetry
}

// begin records that an announce is sent now.
func (p *pace) begin(now time.Time, event tracker.Event) {
	if event != tracker.EventStopped {
		p.last = now
		p.wait, p.restart = p.floor(), p.floor()
	}
}

// conclude records the outcome of an announce and returns the time from the answer to the
// next regular one. A tracker that sets no "min interval" allows no announce before its
// interval ends (BEP 15).
func (p *pace) conclude(now time.Time, event tracker.Event, resp *tracker.AnnounceResponse, err error) (next time.Duration) {
	if event == tracker.EventStopped {
		if err == nil { // the tracker does not list this peer any more
			p.restart, p.listed = p.floor(), false
		}
		return 0
	}
	p.last = now
	if err != nil {
		return p.failed(err)
	}
	p.failures = 0
	p.peers = p.peers || len(resp.Peers) > 0
	interval := resp.Interval
	if interval <= 0 {
		interval = defaultInterval
	}
	interval = min(interval, longestWait)
	least := min(resp.MinInterval, longestWait)
	p.restart = max(p.floor(), least)
	p.wait = max(p.floor(), least)
	if least <= 0 {
		p.wait = max(p.floor(), interval)
	}
	return max(p.floor(), least, interval)
}

func (p *pace) failed(err error) time.Duration {
	var down *downError
	if !errors.As(err, &down) {
		p.failures++
	}
	p.restart = max(p.floor(), askedToWait(err))
	p.wait = max(p.floor(), retryAfter(err, int(p.failures)))
	return p.wait
}

// resume prepares the pace for a torrent that is started again and announces port. After a
// refusal it waits at most minGap, because the user may have removed the cause.
func (p *pace) resume(port uint16) {
	p.wait = min(p.restart, longestRemembered)
	if p.failures > 0 {
		p.wait = min(p.wait, minGap)
	}
	if p.port != 0 && p.port != port && p.failures == 0 {
		p.wait = p.floor() // the tracker lists a port at which nobody listens any more
	}
	p.restart, p.port = p.wait, 0
}

// askedToWait returns how long the tracker asked this peer to wait after a failure; 0 if it
// did not.
func askedToWait(err error) time.Duration {
	var wait time.Duration
	var f *tracker.FailureError
	if errors.As(err, &f) {
		wait = max(f.RetryIn, cmp.Or(max(0, f.MinInterval), f.Interval))
		if f.Never {
			wait = neverRetry
		}
	}
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		wait = max(wait, later.RetryAfter())
	}
	return min(wait, longestWait)
}

// paceKey identifies a tracker of a swarm.
type paceKey struct {
	hash spate.InfoHash
	url  string
}

// maxPast bounds the paces of swarms that are not announced.
const maxPast = 200_000

// past holds the paces of swarms that are not announced at the moment. The lock of the
// scheduler guards it.
type past struct {
	by     map[paceKey]*pace
	pruned int // length after the last prune
}

// take removes and returns the pace of a tracker, or returns nil.
func (a *past) take(k paceKey) *pace {
	p := a.by[k]
	delete(a.by, k)
	return p
}

// keep adds a pace. If there are many, it first removes those that do not matter any more, and
// half of the others if there are still too many.
func (a *past) keep(hash spate.InfoHash, p *pace, now time.Time) {
	if a.by == nil {
		a.by = map[paceKey]*pace{}
	}
	if len(a.by) >= min(2*a.pruned+1000, maxPast) {
		a.prune(now)
	}
	a.by[paceKey{hash, p.url}] = p
}

func (a *past) prune(now time.Time) {
	for k, p := range a.by {
		if !p.listed && !now.Before(p.last.Add(p.restart)) {
			delete(a.by, k)
		}
	}
	if len(a.by) > maxPast/2 {
		for k := range a.by {
			delete(a.by, k)
			if len(a.by) == maxPast/2 {
				break
			}
		}
	}
	a.pruned = len(a.by)
}

// keepAnswer keeps the outcome of an announce.
func (p *pace) keepAnswer(resp *tracker.AnnounceResponse, err error) {
	var down *downError
	if errors.As(err, &down) {
		return
	}
	if p.kept == nil {
		p.kept = &lastAnswer{complete: tracker.Unknown, incomplete: tracker.Unknown}
	}
	p.kept.err = err
	if err != nil {
		return
	}
	p.kept.complete, p.kept.incomplete = resp.Complete, resp.Incomplete
	if len(resp.Peers) > 0 {
		p.kept.peers = slices.Clone(resp.Peers[:min(len(resp.Peers), maxKeptPeers)])
	}
	if resp.TrackerID != "" {
		p.kept.id = resp.TrackerID
	}
}

// lateTarget passes the peers that a tracker names after the answer to a [Scheduler.Poll] on
// to the search, and later to the torrent that the search has found. The lock of the scheduler
// guards it.
type lateTarget struct {
	to    Receiver // the search; nil after its end
	swarm *Swarm   // the swarm of the torrent; nil before its start
}

// found passes on a peer.
func (s *Scheduler) foundLate(t *lateTarget, peer discovery.Candidate, url string) {
	s.mu.Lock()
	to := t.to
	if w := t.swarm; w != nil && w.active {
		to = w.owner
	}
	s.mu.Unlock()
	if to != nil {
		to.Found(peer, url)
	}
}

// remembered returns the peers of the last answer if the tracker may not be asked yet.
func (p *pace) remembered(now time.Time) []netip.AddrPort {
	if p.kept == nil || !now.Before(p.allowed()) {
		return nil
	}
	return p.kept.peers
}

// tell passes peers of the tracker at url to a torrent.
func tell(to Receiver, url string, peers []netip.AddrPort) {
	for _, a := range peers {
		to.Found(discovery.Candidate{Addr: a}, url)
	}
}
