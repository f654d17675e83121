package trackerclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"spate"
	"spate/internal/netguard"
	"spate/tracker"
	"spate/tracker/wire"
)

// run connects to the tracker while there are swarms, until the tracker is dropped.
func (t *wsTracker) run() {
	defer t.stop(net.ErrClosed)
	for t.await() {
		conn, err := t.dial(t.ctx)
		steady := false
		if err == nil {
			began := time.Now()
			err = t.serve(t.ctx, conn)
			steady = err == nil || time.Since(began) >= wsSteady
		}
		t.mu.Lock()
		if steady {
			t.failures = 0
		}
		if err != nil {
			t.failures++
			t.failure = err
		}
		t.mu.Unlock()
		if err != nil {
			t.failAll(err)
		}
	}
	err := context.Cause(t.ctx)
	if err == nil || errors.Is(err, context.Canceled) {
		err = net.ErrClosed
	}
	t.failAll(err)
}

// await waits until the tracker is needed, and after failures for the time until the next try. An
// announce begins a try sooner, after wsFloor. await returns false if the tracker was dropped.
func (t *wsTracker) await() bool {
	t.mu.Lock()
	pause := retryPause(t.c.wsRetry, t.failures)
	t.mu.Unlock()
	floor := min(pause, wsFloor)
	if !sleep(t.ctx, floor) {
		return false
	}
	pause -= floor
	for {
		t.mu.Lock()
		swarms, queued := len(t.swarms), len(t.queue)
		t.mu.Unlock()
		if queued > 0 || swarms > 0 && pause <= 0 {
			return t.ctx.Err() == nil
		}
		wait := wsIdle
		if swarms > 0 {
			wait = pause
		}
		timer := time.NewTimer(wait)
		select {
		case <-t.work:
			timer.Stop()
		case <-t.ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
			if swarms == 0 && t.drop() {
				return false
			}
			pause = 0
		}
	}
}

// retryPause returns the time until the connection is made again after failures in a row.
func retryPause(first time.Duration, failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return min(wsLastRetry, first<<min(failures-1, 10))
}

// sleep waits for d and returns true, or false when ctx is done.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// dial connects to the tracker.
func (t *wsTracker) dial(ctx context.Context) (*websocket.Conn, error) { return t.c.dialWS(ctx, t.u) }

// dialWS connects to a WebSocket tracker within the reach of its URL.
func (c *Client) dialWS(ctx context.Context, u *url.URL) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wsDialTime, errTimeout)
	defer cancel()
	reach := reachOf(u)
	transport := c.transport()
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return c.dialer.DialURL(ctx, reach, u, network, addr)
	}
	conn, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader: http.Header{"User-Agent": {c.opts.UserAgent}},
	})
	if err != nil {
		transport.CloseIdleConnections()
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, &AnswerError{URL: origin(u), Status: resp.StatusCode, Wait: netguard.RetryAfter(resp.Header, time.Now())}
		}
		return nil, c.explain(ctx, u, err)
	}
	conn.SetReadLimit(wire.MaxWSMessage)
	return conn, nil
}

// serve sends announces and handles the messages of the tracker until the connection ends. It
// returns nil if it closed the connection because there are no swarms.
func (t *wsTracker) serve(ctx context.Context, conn *websocket.Conn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t.mu.Lock()
	t.conn, t.hangUp, t.heard, t.failure = conn, cancel, false, nil
	repeat := t.repeatsLocked()
	t.mu.Unlock()
	var reading sync.WaitGroup
	reading.Go(func() { cancel(t.read(ctx, conn)) })
	err := t.write(ctx, conn, repeat)
	cancel(err)
	conn.CloseNow()
	reading.Wait()
	if err == nil {
		t.failAll(errSocketEnded) // nothing waits
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if silence := new(SilenceError); errors.As(err, &silence) {
		return err
	}
	if !t.heard { // the caller then asks for one swarm at a time
		return fmt.Errorf("%w: %w", &SilenceError{URL: origin(t.u)}, err)
	}
	return fmt.Errorf("tracker %s: %w", origin(t.u), err)
}

// repeatsLocked returns the swarms to announce over a new connection.
func (t *wsTracker) repeatsLocked() []spate.InfoHash {
	all := make([]spate.InfoHash, 0, len(t.swarms))
	for ih, w := range t.swarms {
		if w.known && !w.refused {
			all = append(all, ih)
		}
	}
	return all
}

// write sends what is queued, first the swarms that the tracker knew before the connection was made
// again, and pings.
func (t *wsTracker) write(ctx context.Context, conn *websocket.Conn, repeat []spate.InfoHash) error {
	ping := time.NewTicker(wsPingEvery)
	defer ping.Stop()
	idle := time.NewTicker(wsIdle)
	defer idle.Stop()
	for {
		for more := true; more; {
			var err error
			if more, err = t.sendNext(ctx, conn); err != nil {
				return cmpCause(ctx, err)
			}
		}
		if len(repeat) > 0 {
			if err := t.repeat(ctx, conn, repeat[0]); err != nil || !sleep(ctx, wsRepeatPause) {
				return cmpCause(ctx, err)
			}
			repeat = repeat[1:]
			continue
		}
		select {
		case <-t.work:
		case now := <-ping.C:
			t.leaveAbandoned(now)
			pctx, cancel := context.WithTimeout(ctx, wsWriteTime)
			err := conn.Ping(pctx)
			cancel()
			if err != nil {
				return cmpCause(ctx, err)
			}
		case <-idle.C:
			t.mu.Lock()
			unused := len(t.swarms) == 0 && len(t.queue) == 0
			t.mu.Unlock()
			if unused {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// cmpCause returns the cause of ctx if that is done, else err.
func cmpCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// sendNext sends the next announce of the queue. It returns false if there is none. A "stopped" waits
// for no reply, because some trackers send none.
func (t *wsTracker) sendNext(ctx context.Context, conn *websocket.Conn) (bool, error) {
	t.out.Lock()
	defer t.out.Unlock()
	t.mu.Lock()
	if len(t.queue) == 0 {
		t.mu.Unlock()
		return false, nil
	}
	call := t.queue[0]
	t.queue = slices.Delete(t.queue, 0, 1)
	stopped := call.req.Event == tracker.EventStopped
	if !stopped {
		t.sent = append(t.sent, wsSent{hash: call.req.InfoHash, call: call, at: time.Now()})
	}
	t.mu.Unlock()
	err := t.send(ctx, conn, &call.req, nil)
	switch {
	case stopped && err != nil:
		call.finish(nil, err)
	case stopped:
		call.finish(stoppedResponse(), nil)
	}
	return true, err
}

// repeat announces a swarm again that nobody waits for.
func (t *wsTracker) repeat(ctx context.Context, conn *websocket.Conn, ih spate.InfoHash) error {
	t.out.Lock()
	defer t.out.Unlock()
	t.mu.Lock()
	w := t.swarms[ih]
	if w == nil || t.waitsLocked(ih) {
		t.mu.Unlock()
		return nil
	}
	req := w.last
	req.Event = tracker.EventStarted
	t.sent = append(t.sent, wsSent{hash: ih, at: time.Now()})
	t.mu.Unlock()
	return t.send(ctx, conn, &req, nil)
}

// send sends an announce with offers.
func (t *wsTracker) send(ctx context.Context, conn *websocket.Conn, req *tracker.AnnounceRequest, offers []wire.WSOffer) error {
	m := wire.WSRequest{
		Action: wire.WSAnnounce, InfoHash: req.InfoHash, PeerID: req.PeerID, Event: req.Event, NumWant: req.NumWant,
		Uploaded: req.Uploaded, Downloaded: req.Downloaded, Left: req.Left, TrackerID: req.TrackerID, Offers: offers, Twice: req.Twice,
	}
	if len(offers) > 0 {
		m.NumWant = len(offers)
	}
	return t.put(ctx, conn, wire.AppendWSRequest(nil, &m))
}

// put sends one message.
func (t *wsTracker) put(ctx context.Context, conn *websocket.Conn, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, wsWriteTime)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, message)
}
