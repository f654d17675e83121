package announce

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// Swarm is the state of a swarm that is announced. A process may hold very many of them, so
// fields that only some swarms need are behind pointers. The lock of the scheduler guards it.
type Swarm struct {
	owner                Torrent
	hash                 spate.InfoHash
	key                  uint32
	tiers                *trackerclient.Tiers
	paces                []*pace       // of the trackers that were asked
	next                 time.Time     // time of the next announce
	uploaded, downloaded int64         // payload of the torrent when the swarm was started
	index                int32         // index in the queue, or -1
	event                tracker.Event // event of the next announce
	completed            bool          // "completed" must be announced after event
	urgent               bool          // "completed" was not announced yet: no tracker's pace delays it
	failed               bool          // no tracker answered the last announce
	repeat               bool          // a value in the ongoing announce is out of date: announce again
	active               bool          // started and not stopped
	stops                uint8         // calls of Stop or Halt that have not ended
	ongoing              *ongoing      // the announce in progress, or nil
	status               *Status       // nil before the first announce and for dormant torrents
	beside               *beside       // nil unless SetBeside was called
	ranges               func() bool   // reports whether the peer serves ranges; nil if it does not
}

// ongoing is an announce that has not ended.
type ongoing struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the announce ends
}

// Status is the outcome of the last announce of a swarm.
type Status struct {
	URL                  string // the tracker that answered last
	LastAnnounce         time.Time
	NextAnnounce         time.Time
	Err                  error // error of the last announce; nil if it succeeded
	Complete, Incomplete int   // seeds and leechers, or [tracker.Unknown]
	Warning              string
}

// NewSwarm returns a swarm that can be started. The trackers of each tier are shuffled
// with rng, or with the global random source if it is nil.
func NewSwarm(owner Torrent, hash spate.InfoHash, tiers [][]string, rng *rand.Rand) *Swarm {
	return &Swarm{owner: owner, hash: hash, tiers: trackerclient.NewTiers(tiers, rng), key: rand.Uint32(), index: -1}
}

// pace returns the pace of the tracker at url.
func (w *Swarm) pace(url string) *pace {
	for _, p := range w.paces {
		if p.url == url {
			return p
		}
	}
	p := &pace{url: url}
	w.paces = append(w.paces, p)
	return p
}

// last returns when the last announce was sent; zero if there was none.
func (w *Swarm) last() (last time.Time) {
	for _, p := range w.paces {
		if p.last.After(last) {
			last = p.last
		}
	}
	return last
}

// allowed returns when the swarm may be announced if it is not announced before now. A swarm
// waits for the first tracker that answers, and passes over trackers that fail.
func (w *Swarm) allowed(now time.Time) time.Time {
	var soonest time.Time
	for _, url := range w.tiers.URLs() {
		p := w.pace(url)
		at := p.allowed()
		if !now.Before(at) {
			return now
		}
		if p.failures == 0 {
			return at
		}
		if soonest.IsZero() || at.Before(soonest) {
			soonest = at
		}
	}
	if soonest.IsZero() { // there are no trackers
		soonest = now.Add(defaultInterval)
	}
	return soonest
}

// concludeLocked records the outcome of an announce.
func (w *Swarm) concludeLocked(event tracker.Event, resp *tracker.AnnounceResponse, url string, err error) {
	status := Status{Err: err}
	w.failed = err != nil
	if err == nil {
		status = Status{URL: url, Complete: resp.Complete, Incomplete: resp.Incomplete, Warning: resp.Warning}
	} else {
		// The next announce has the event again.
		if event == tracker.EventCompleted {
			w.completed = true
		} else if w.event == tracker.EventNone {
			w.event = event
		}
		if w.status != nil {
			status = *w.status
			status.Err = err
		}
	}
	w.status = &status
	if w.owner.Dormant() {
		w.status = nil
	}
}

// retryAfter returns the time to wait after n failures in a row.
func retryAfter(err error, n int) time.Duration {
	var down *downError
	if errors.As(err, &down) {
		// The times differ, because many swarms may wait for the same tracker.
		wait := max(firstRetry, time.Until(down.until))
		return wait + rand.N(wait)
	}
	if wait := askedToWait(err); wait > 0 {
		return max(wait, firstRetry)
	}
	return min(lastRetry, firstRetry<<min(n-1, 10))
}

// queue is a heap of swarms by the time of the next announce.
type queue []*Swarm

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = int32(i), int32(j)
}
func (q *queue) Push(x any) {
	w := x.(*Swarm)
	w.index = int32(len(*q))
	*q = append(*q, w)
}
func (q *queue) Pop() any {
	old := *q
	w := old[len(old)-1]
	w.index = -1
	*q = old[:len(old)-1]
	return w
}
