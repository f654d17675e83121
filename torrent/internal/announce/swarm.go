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
	next, last           time.Time     // times of the next and the last announce
	uploaded, downloaded int64         // payload of the torrent when the swarm was started
	minInterval          time.Duration // shortest time between announces that the tracker asked for; 0 if it set none
	index                int32         // index in the queue, or -1
	failures             int32         // announces in a row that failed
	event                tracker.Event // event of the next announce
	completed            bool          // "completed" must be announced after event
	repeat               bool          // a value in the ongoing announce is out of date: announce again
	gotPeers             bool          // an answer has named peers
	active               bool          // started and not stopped
	ongoing              *ongoing      // the announce in progress, or nil
	status               *Status       // nil before the first announce and for dormant torrents
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

// concludeLocked records the outcome of an announce and returns the time until the next. It
// is at least minGap, or firstRetry while no answer has named peers: the author of a torrent
// chooses its tracker, and a short interval would make every peer ask that server all the
// time.
func (w *Swarm) concludeLocked(event tracker.Event, resp *tracker.AnnounceResponse, url string, err error) time.Duration {
	status := Status{Err: err}
	wait := time.Duration(0)
	if err == nil {
		w.failures, w.minInterval = 0, resp.MinInterval
		w.gotPeers = w.gotPeers || len(resp.Peers) > 0
		wait = resp.Interval
		status = Status{URL: url, Complete: resp.Complete, Incomplete: resp.Incomplete, Warning: resp.Warning}
	} else {
		var down *downError
		if !errors.As(err, &down) {
			w.failures++
		}
		wait = retryAfter(err, int(w.failures))
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
	switch {
	case wait <= 0:
		return defaultInterval
	case w.gotPeers:
		return max(wait, w.minInterval, minGap)
	}
	return max(wait, w.minInterval, firstRetry)
}

// retryAfter returns the time to wait after n failures in a row.
func retryAfter(err error, n int) time.Duration {
	var down *downError
	if errors.As(err, &down) {
		// The times differ, because many swarms may wait for the same tracker.
		wait := max(firstRetry, time.Until(down.until))
		return wait + rand.N(wait)
	}
	var f *tracker.FailureError
	if errors.As(err, &f) {
		switch {
		case f.RetryIn > 0:
			return max(f.RetryIn, firstRetry)
		case f.Never:
			return neverRetry
		}
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
