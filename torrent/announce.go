package torrent

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"spate/tracker"
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
	gate   trackerGate
	places chan struct{}
	wake   chan struct{}

	mu    sync.Mutex // guards what follows and the announceState of every torrent
	queue announceQueue
	ended bool
}

func newAnnouncer(s *Session) *announcer {
	return &announcer{
		s: s, gate: trackerGate{next: s.opt.Announcer},
		places: make(chan struct{}, s.opt.MaxAnnounces), wake: make(chan struct{}, 1),
	}
}

// start announces these swarms from now on; sent and received are their payload
// so far.
func (a *announcer) start(all []*announceState, sent, received int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, st := range all {
		if !st.active && !a.ended {
			st.active = true
			st.event = tracker.EventStarted
			st.sent, st.received = sent, received
			a.scheduleLocked(st, time.Now())
		}
	}
}

// handOver says who the swarms belong to from now on: a torrent that woke, or
// fell asleep.
func (a *announcer) handOver(all []*announceState, to announced) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, st := range all {
		st.of = to
	}
}

// completed tells the trackers that a download is complete.
func (a *announcer) completed(all []*announceState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, st := range all {
		if st.active {
			st.whole = true
			a.scheduleLocked(st, time.Now())
		}
	}
}

// hurry brings the next announce of a torrent that has no peers forward, as far
// as the tracker allows.
func (a *announcer) hurry(all []*announceState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, st := range all {
		if !st.active || st.under != nil || st.fails > 0 || st.last.IsZero() {
			continue
		}
		if at := st.last.Add(max(st.minGap, hungryAnnounce)); at.Before(st.at) {
			a.scheduleLocked(st, at)
		}
	}
}

// scheduleLocked sets when st is announced next.
func (a *announcer) scheduleLocked(st *announceState, at time.Time) {
	st.at = at
	if st.under != nil {
		return // entered when the announce under way has ended
	}
	if st.index < 0 {
		heap.Push(&a.queue, st)
	} else {
		heap.Fix(&a.queue, int(st.index))
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
	st.under = &underWay{cancel, make(chan struct{})}
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
		st.under = nil
		st.whole = st.whole || event == tracker.EventCompleted // the session ends; stopAll tells it
		return false
	}
	return true
}

// announce makes one announce and schedules the next.
func (a *announcer) announce(ctx context.Context, st *announceState, event tracker.Event) {
	req := a.request(st, event)
	resp, from, err := st.tiers.Announce(ctx, &a.gate, &req)
	now := time.Now()
	of := a.owner(st)
	var down *trackerDownError
	if err == nil {
		of.answered(resp, from)
	} else if !errors.As(err, &down) && (ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded)) {
		of.logger().Info("announce failed", "err", err)
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	close(st.under.done)
	st.under = nil
	wait := time.Duration(0)
	stats := TrackerStats{Err: err}
	if err != nil {
		if down == nil {
			st.fails++
		}
		wait = retryAfter(err, int(st.fails))
		if event == tracker.EventCompleted {
			st.whole = true // it has not been told
		} else if st.event == tracker.EventNone {
			st.event = event
		}
		if st.stats != nil {
			stats = *st.stats
			stats.Err = err
		}
	} else {
		st.fails = 0
		st.minGap = resp.MinInterval
		wait = resp.Interval
		stats = TrackerStats{URL: from, Complete: resp.Complete, Incomplete: resp.Incomplete, Warning: resp.Warning}
	}
	if _, asleep := st.of.(*dormant); asleep {
		st.stats = nil
	} else {
		st.stats = &stats
	}
	if wait <= 0 {
		wait = defaultInterval
	}
	st.last = now
	next := now.Add(wait)
	if st.whole && err == nil {
		next = now // it came while this announce was under way
	}
	if st.active && !a.ended {
		a.scheduleLocked(st, next)
	}
}

// asked reports whether the trackers of all have answered, or failed to, at least
// once.
func (a *announcer) asked(all []*announceState) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !slices.ContainsFunc(all, func(st *announceState) bool { return st.stats == nil })
}

// owner returns what st belongs to now.
func (a *announcer) owner(st *announceState) announced {
	a.mu.Lock()
	defer a.mu.Unlock()
	return st.of
}

// retryAfter is the wait after the n-th failure in a row.
func retryAfter(err error, n int) time.Duration {
	var down *trackerDownError
	if errors.As(err, &down) {
		// Not all at once: those who wait for the same tracker may be many.
		wait := max(firstRetry, time.Until(down.until))
		return wait + rand.N(wait)
	}
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

// stopAll tells the trackers of these swarms that we leave, and returns when they
// have heard or stoppedTimeout has passed.
func (a *announcer) stopAll(all []*announceState) {
	ctx, cancel := context.WithTimeout(context.Background(), stoppedTimeout)
	defer cancel()
	places := make(chan struct{}, cap(a.places))
	var wg sync.WaitGroup
	for _, st := range all {
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
				req := a.request(st, e)
				if _, _, err := st.tiers.Announce(ctx, a.s.opt.Announcer, &req); err != nil {
					a.owner(st).logger().Debug("announcing the stop", "err", err)
				}
			}
		})
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
		heap.Remove(&a.queue, int(st.index))
	}
	if st.under != nil {
		under = st.under.done
		if !whole {
			st.under.cancel()
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

// request says how the torrent stands.
func (a *announcer) request(st *announceState, event tracker.Event) tracker.AnnounceRequest {
	uploaded, downloaded, left := a.owner(st).standing()
	req := tracker.AnnounceRequest{
		InfoHash: st.hash, PeerID: a.s.opt.PeerID, Port: a.s.AdvertisedPort(), Key: st.key, Event: event,
		Uploaded: uploaded - st.sent, Downloaded: downloaded - st.received, Left: left,
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

// standing implements [announced].
func (t *Torrent) standing() (uploaded, downloaded, left int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.uploaded.Load(), t.downloaded.Load(), t.leftLocked()
}

// answered implements [announced].
func (t *Torrent) answered(resp *tracker.AnnounceResponse, url string) {
	t.foundPeers(resp.Peers, url)
	t.foundSeeds(resp.Complete)
}

func (t *Torrent) logger() *slog.Logger { return t.log }

// foundPeers takes addresses from the tracker at that URL. A tracker on this
// machine may name peers on it; others may not.
func (t *Torrent) foundPeers(addrs []netip.AddrPort, trackerURL string) {
	t.mu.Lock()
	addTrackerPeers(t.peers, trackerURL, addrs)
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
