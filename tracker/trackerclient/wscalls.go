package trackerclient

import (
	"context"
	"errors"
	"slices"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// A WebSocket tracker replies to announces in their order for each swarm, and its replies name the
// info-hash only. So each announce has a place in wsTracker.sent until its reply has come, also if
// nobody waits for the reply any more.

// wsCall is an announce that waits for its reply.
type wsCall struct {
	req  tracker.AnnounceRequest
	done chan struct{} // closed when resp or err is set
	resp *tracker.AnnounceResponse
	err  error
}

// wsSent is an announce that was sent, whose reply has not come.
type wsSent struct {
	hash   spate.InfoHash
	call   *wsCall // nil if nobody waits for the reply
	offers bool    // it had offers, so that the reply causes no further ones
	at     time.Time
}

// finish ends a call.
func (call *wsCall) finish(resp *tracker.AnnounceResponse, err error) {
	call.resp, call.err = resp, err
	close(call.done)
}

// stoppedResponse returns the response to an announce of the event "stopped".
func stoppedResponse() *tracker.AnnounceResponse {
	return &tracker.AnnounceResponse{Interval: wsInterval, Complete: tracker.Unknown, Incomplete: tracker.Unknown, Downloaded: tracker.Unknown}
}

// announce announces a swarm and waits for the reply.
func (t *wsTracker) announce(ctx context.Context, req *tracker.AnnounceRequest, signals tracker.Signals) (*tracker.AnnounceResponse, error) {
	call := &wsCall{req: *req, done: make(chan struct{})}
	t.mu.Lock()
	stopped := req.Event == tracker.EventStopped
	if t.dropped { // it was idle until now, or could not be reached
		t.mu.Unlock()
		again, err := t.c.socket(t.u, !stopped)
		if err != nil {
			return nil, err
		}
		if again == nil {
			return stoppedResponse(), nil
		}
		return again.announce(ctx, req, signals)
	}
	if stopped {
		t.forgetLocked(req.InfoHash)
		t.unqueueLocked(req.InfoHash)
		if t.conn == nil { // the tracker has forgotten this side already
			t.mu.Unlock()
			return stoppedResponse(), nil
		}
	} else {
		w := t.swarms[req.InfoHash]
		if w == nil {
			w = &wsSwarm{offers: map[wire.OfferID]*wsOffer{}}
			t.swarms[req.InfoHash] = w
		}
		w.last, w.signals, w.asked = *req, signals, time.Now()
		w.last.Event = tracker.EventNone
	}
	t.enqueueLocked(call)
	t.mu.Unlock()
	select {
	case <-call.done:
		return call.resp, call.err
	case <-ctx.Done():
		return nil, t.abandon(ctx, call)
	}
}

// enqueueLocked adds an announce to the queue.
func (t *wsTracker) enqueueLocked(call *wsCall) {
	t.queue = append(t.queue, call)
	select {
	case t.work <- struct{}{}:
	default:
	}
}

// unqueueLocked ends the announces of a swarm that were not sent.
func (t *wsTracker) unqueueLocked(ih spate.InfoHash) {
	t.queue = slices.DeleteFunc(t.queue, func(call *wsCall) bool {
		ours := call.req.InfoHash == ih
		if ours {
			call.finish(nil, errSwarmLeft)
		}
		return ours
	})
}

// abandon gives up an announce and returns its error. If it was sent, its reply keeps its place, so
// that the replies to later announces are not taken for others. If the reply is overdue, it may be
// lost, and the connection ends.
func (t *wsTracker) abandon(ctx context.Context, call *wsCall) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.queue, call); i >= 0 {
		t.queue = slices.Delete(t.queue, i, i+1)
		t.dropUnknownLocked(call.req.InfoHash)
		if t.failure != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return t.failure // why there is no connection
		}
		return ctx.Err()
	}
	i := slices.IndexFunc(t.sent, func(s wsSent) bool { return s.call == call })
	if i < 0 {
		return ctx.Err()
	}
	t.sent[i].call = nil
	if time.Since(t.sent[i].at) >= t.c.wsSilence {
		t.hangUp(&SilenceError{URL: origin(t.u)})
	}
	return ctx.Err()
}

// waitsLocked reports whether an announce of a swarm waits to be sent or for its reply.
func (t *wsTracker) waitsLocked(ih spate.InfoHash) bool {
	return slices.ContainsFunc(t.queue, func(call *wsCall) bool { return call.req.InfoHash == ih }) ||
		slices.ContainsFunc(t.sent, func(s wsSent) bool { return s.call != nil && s.hash == ih })
}

// forgetLocked removes a swarm.
func (t *wsTracker) forgetLocked(ih spate.InfoHash) {
	if w := t.swarms[ih]; w != nil {
		w.withdraw()
		delete(t.swarms, ih)
	}
}

// dropUnknownLocked removes a swarm that the tracker has never accepted and that nobody announces.
func (t *wsTracker) dropUnknownLocked(ih spate.InfoHash) {
	if w := t.swarms[ih]; w != nil && !w.known && !t.waitsLocked(ih) {
		t.forgetLocked(ih)
	}
}

// leaveAbandoned announces "stopped" for swarms that the caller does not announce any more.
func (t *wsTracker) leaveAbandoned(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ih, w := range t.swarms {
		if now.Sub(w.asked) > max(wsAbandoned, 2*w.interval) && !t.waitsLocked(ih) {
			call := &wsCall{req: w.last, done: make(chan struct{})}
			call.req.Event = tracker.EventStopped
			t.forgetLocked(ih)
			t.enqueueLocked(call)
		}
	}
}

// failAll ends all calls with an error, and the offers, whose answers cannot arrive any more. It
// forgets swarms that the tracker has never accepted, because the caller announces them again.
func (t *wsTracker) failAll(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conn = nil
	for _, s := range t.sent {
		if s.call != nil {
			s.call.finish(nil, err)
		}
	}
	for _, call := range t.queue {
		call.finish(nil, err)
	}
	t.sent, t.queue = nil, nil
	for ih, w := range t.swarms {
		w.withdraw()
		t.dropUnknownLocked(ih)
	}
}

// reply gives a reply to the call that waits for it, and returns how many offers the peers of the
// swarm could take.
func (t *wsTracker) reply(r *wire.WSReply) (takers int, ih spate.InfoHash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.heard = true
	t.sent = slices.DeleteFunc(t.sent, func(s wsSent) bool { return s.call == nil && now.Sub(s.at) > wsReplyTime })
	at := slices.IndexFunc(t.sent, func(s wsSent) bool {
		return s.hash == r.InfoHash || r.Failure != "" && r.InfoHash.IsZero()
	})
	if at < 0 {
		return 0, ih // the reply to "stopped", for which nobody waits because some trackers send none
	}
	one := t.sent[at]
	t.sent = slices.Delete(t.sent, at, at+1)
	if r.Failure != "" {
		if one.call != nil {
			one.call.finish(nil, &tracker.FailureError{Reason: r.Failure, RetryIn: time.Duration(r.RetryIn) * time.Minute, Never: r.Never})
		}
		t.refusedLocked(&one, r.Never)
		return 0, ih
	}
	resp := &tracker.AnnounceResponse{
		Interval: time.Duration(r.Interval) * time.Second, MinInterval: time.Duration(r.MinInterval) * time.Second,
		Complete: r.Complete, Incomplete: r.Incomplete, Downloaded: r.Downloaded, Warning: r.Warning, TrackerID: r.TrackerID,
	}
	if resp.Interval <= 0 {
		resp.Interval = wsInterval
	}
	if one.call != nil {
		one.call.finish(resp, nil)
	}
	w := t.swarms[one.hash]
	if w == nil {
		return 0, ih
	}
	w.known, w.refused, w.interval = true, false, resp.Interval
	if one.offers || w.last.Left == 0 {
		return 0, ih
	}
	takers = r.Takers
	if takers == noPeersToTake { // seeds and leechers, of which this side is one
		takers = max(0, r.Complete) + max(0, r.Incomplete) - 1
	}
	w.expire()
	return min(takers, maxOffers, maxWaiting-len(w.offers)), one.hash
}

// refusedLocked keeps a swarm that the tracker has refused from being announced again until the
// caller does, which knows how long the tracker asked to wait. It forgets a swarm that the tracker
// has never accepted or never will.
func (t *wsTracker) refusedLocked(one *wsSent, never bool) {
	w := t.swarms[one.hash]
	if w == nil || one.offers {
		return
	}
	w.refused = true
	if never {
		w.known = false
	}
	t.dropUnknownLocked(one.hash)
}
