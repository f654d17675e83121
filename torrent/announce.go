package torrent

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// Waits of announces where a tracker does not say.
const (
	announceTimeout = 40 * time.Second
	firstRetry      = 10 * time.Second
	lastRetry       = 30 * time.Minute
	hungryAnnounce  = 60 * time.Second // least wait while no peer is connected and data is missing
	defaultInterval = 30 * time.Minute
)

// announcer announces all torrents of a session: one timer for all of them, and
// a bounded number of announces at once.
type announcer struct {
	s      *Session
	places chan struct{}
	wake   chan struct{}

	mu    sync.Mutex // guards what follows and the announceState of every torrent
	queue announceQueue
	ended bool
}

// announceState is what the announcer knows of one torrent.
type announceState struct {
	t              *Torrent
	hash           spate.InfoHash
	tiers          *trackerclient.Tiers
	key            uint32
	index          int // in the queue, -1 outside
	at             time.Time
	event          tracker.Event // to be told next
	sent, received int64         // payload before "started", which trackers do not count
	whole          bool          // then that the download is complete
	busy           bool          // an announce is under way
	active         bool          // started and not stopped
	fails          int
	cancel         context.CancelFunc // of the announce under way
	done           chan struct{}      // closed when that one ends
	stats          TrackerStats
	minGap         time.Duration
}

// newAnnounceStates returns a state for each swarm of the torrent: a hybrid is in
// two. Without trackers there are none.
func newAnnounceStates(t *Torrent, tiers [][]string) []*announceState {
	if len(tiers) == 0 || t.s.opt.Announcer == nil {
		return nil
	}
	all := []*announceState{{t: t, hash: t.hash}}
	if !t.hash2.IsZero() {
		all = append(all, &announceState{t: t, hash: t.hash2})
	}
	for _, st := range all {
		st.tiers = trackerclient.NewTiers(tiers, t.rng)
		st.key = rand.Uint32()
		st.index = -1
	}
	return all
}

func newAnnouncer(s *Session) *announcer {
	return &announcer{s: s, places: make(chan struct{}, s.opt.MaxAnnounces), wake: make(chan struct{}, 1)}
}

// start announces t from now on.
func (a *announcer) start(t *Torrent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, st := range t.anns {
		if !st.active && !a.ended {
			st.active = true
			st.event = tracker.EventStarted
			st.sent, st.received = t.uploaded.Load(), t.downloaded.Load()
			a.scheduleLocked(st, time.Now())
		}
	}
}

// completed tells the trackers that a download is complete.
func (a *announcer) completed(t *Torrent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, st := range t.anns {
		if st.active {
			st.whole = true
			a.scheduleLocked(st, time.Now())
		}
	}
}

// hurry brings the next announce of a torrent that has no peers forward, as far
// as the tracker allows.
func (a *announcer) hurry(t *Torrent, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, st := range t.anns {
		if !st.active || st.busy || st.fails > 0 || st.stats.LastAnnounce.IsZero() {
			continue
		}
		if at := st.stats.LastAnnounce.Add(max(st.minGap, hungryAnnounce)); at.Before(st.at) {
			a.scheduleLocked(st, at)
		}
	}
}

// scheduleLocked sets when st is announced next.
func (a *announcer) scheduleLocked(st *announceState, at time.Time) {
	st.at = at
	st.stats.NextAnnounce = at
	if st.busy {
		return // entered when the announce under way has ended
	}
	if st.index < 0 {
		heap.Push(&a.queue, st)
	} else {
		heap.Fix(&a.queue, st.index)
	}
	if a.queue[0] == st {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// run announces what is due until ctx ends.
func (a *announcer) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait := time.Hour
		a.mu.Lock()
		if len(a.queue) > 0 {
			wait = time.Until(a.queue[0].at)
		}
		a.mu.Unlock()
		if wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-a.wake:
			case <-timer.C:
			}
			continue
		}
		select {
		case a.places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if !a.launch(ctx) {
			<-a.places
		}
	}
}

// launch starts the announce that is due, if there still is one.
func (a *announcer) launch(ctx context.Context) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || len(a.queue) == 0 || time.Until(a.queue[0].at) > 0 {
		return false
	}
	st := heap.Pop(&a.queue).(*announceState)
	actx, cancel := context.WithTimeout(ctx, announceTimeout)
	st.busy, st.cancel, st.done = true, cancel, make(chan struct{})
	event := st.event
	st.event = tracker.EventNone
	// A tracker that has not heard "started" yet is told so first.
	if event == tracker.EventNone && st.whole {
		event, st.whole = tracker.EventCompleted, false
	}
	if !a.s.spawn(func() {
		defer func() { <-a.places }()
		defer cancel()
		a.announce(actx, st, event)
	}) {
		cancel()
		st.busy = false
		st.whole = st.whole || event == tracker.EventCompleted // the session ends; stopAll tells it
		return false
	}
	return true
}

// announce makes one announce and schedules the next.
func (a *announcer) announce(ctx context.Context, st *announceState, event tracker.Event) {
	t := st.t
	req := t.announceRequest(st, event)
	resp, from, err := st.tiers.Announce(ctx, a.s.opt.Announcer, &req)
	now := time.Now()
	if err == nil {
		t.foundPeers(resp.Peers, from)
		t.foundSeeds(resp.Complete)
	} else if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.log.Info("announce failed", "err", err)
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	st.busy = false
	close(st.done)
	wait := time.Duration(0)
	if err != nil {
		st.fails++
		wait = retryAfter(err, st.fails)
		st.stats.Err = err
		if event == tracker.EventCompleted {
			st.whole = true // it has not been told
		} else if st.event == tracker.EventNone {
			st.event = event
		}
	} else {
		st.fails = 0
		st.minGap = resp.MinInterval
		wait = resp.Interval
		st.stats = TrackerStats{URL: from, Complete: resp.Complete, Incomplete: resp.Incomplete, Warning: resp.Warning}
	}
	if wait <= 0 {
		wait = defaultInterval
	}
	st.stats.LastAnnounce = now
	next := now.Add(wait)
	if st.whole && err == nil {
		next = now // it came while this announce was under way
	}
	if st.active && !a.ended {
		a.scheduleLocked(st, next)
	}
}

// retryAfter is the wait after the n-th failure in a row.
func retryAfter(err error, n int) time.Duration {
	var f *tracker.FailureError
	if errors.As(err, &f) {
		switch {
		case f.RetryIn > 0:
			return f.RetryIn
		case f.Never:
			return 24 * time.Hour
		}
	}
	return min(lastRetry, firstRetry<<min(n-1, 10))
}

// stopAll tells the trackers of these torrents that they stop, and returns when
// they have heard or stoppedTimeout has passed.
func (a *announcer) stopAll(all []*Torrent) {
	ctx, cancel := context.WithTimeout(context.Background(), stoppedTimeout)
	defer cancel()
	places := make(chan struct{}, cap(a.places))
	var wg sync.WaitGroup
	for _, t := range all {
		for _, st := range t.anns {
			under, active, whole := a.deactivate(st)
			if !active {
				continue
			}
			places <- struct{}{}
			wg.Go(func() {
				defer func() { <-places }()
				if under != nil {
					select {
					case <-under:
					case <-ctx.Done():
						return
					}
					whole = a.untold(st) || whole
				}
				events := []tracker.Event{tracker.EventCompleted, tracker.EventStopped}
				if !whole {
					events = events[1:]
				}
				for _, e := range events {
					req := t.announceRequest(st, e)
					if _, _, err := st.tiers.Announce(ctx, a.s.opt.Announcer, &req); err != nil {
						t.log.Debug("announcing the stop", "err", err)
					}
				}
			})
		}
	}
	wg.Wait()
}

// deactivate ends the announces of st. It returns what is closed when the one
// under way has ended, whether st was active, and whether the trackers are still
// to be told that the download is complete.
func (a *announcer) deactivate(st *announceState) (under <-chan struct{}, active, whole bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	active, st.active = st.active, false
	whole, st.whole = st.whole, false
	if st.index >= 0 {
		heap.Remove(&a.queue, st.index)
	}
	if st.busy {
		under = st.done
		if !whole {
			st.cancel()
		}
	}
	return under, active, whole
}

// untold reports whether the announce that deactivate cut short was to tell that
// the download is complete.
func (a *announcer) untold(st *announceState) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	whole := st.whole
	st.whole = false
	return whole
}

// announceRequest says how the torrent stands.
func (t *Torrent) announceRequest(st *announceState, event tracker.Event) tracker.AnnounceRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	req := tracker.AnnounceRequest{
		InfoHash: st.hash, PeerID: t.s.opt.PeerID, Port: t.s.port, Key: st.key, Event: event,
		Uploaded: t.uploaded.Load() - st.sent, Downloaded: t.downloaded.Load() - st.received,
		Left:    t.leftLocked(),
		NumWant: tracker.DefaultNumWant,
	}
	if req.Port == 0 {
		req.Port = 1 // nobody can connect, and trackers refuse 0
	}
	if event == tracker.EventStopped {
		req.NumWant = 0
	}
	return req
}

// foundPeers takes addresses from the tracker at that URL. A tracker on this
// machine may name peers on it; others may not.
func (t *Torrent) foundPeers(addrs []netip.AddrPort, trackerURL string) {
	t.mu.Lock()
	t.peers.Add(addrs, trackerSource(trackerURL, addrs))
	t.mu.Unlock()
	t.dialMore(time.Now())
}

func localURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback() || u.Hostname() == "localhost"
}

// announceQueue is a heap by the time of the next announce.
type announceQueue []*announceState

func (q announceQueue) Len() int           { return len(q) }
func (q announceQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q announceQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}
func (q *announceQueue) Push(x any) {
	st := x.(*announceState)
	st.index = len(*q)
	*q = append(*q, st)
}
func (q *announceQueue) Pop() any {
	old := *q
	st := old[len(old)-1]
	st.index = -1
	*q = old[:len(old)-1]
	return st
}
