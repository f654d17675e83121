package trackerclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// Bounds of the connections to WebSocket trackers.
const (
	maxSockets    = 50               // connections; each serves all torrents of its tracker
	wsDialTime    = 20 * time.Second // to connect
	wsWriteTime   = 10 * time.Second // to send one message
	wsPingEvery   = time.Minute      // to keep the connection through routers and proxies
	wsIdle        = 30 * time.Second // without a swarm, until the connection is closed
	wsFirstRetry  = 5 * time.Second  // until the connection is made again, doubled with each failure
	wsLastRetry   = 10 * time.Minute
	wsRepeatPause = 20 * time.Millisecond // between the announces after a new connection
	wsInterval    = 2 * time.Minute       // between announces, if the tracker sets no interval
)

var (
	errTooManySockets = errors.New("connected to too many WebSocket trackers")
	errSocketEnded    = errors.New("the connection ended before the response")
)

// AnnounceSignals announces to the WebSocket tracker at rawURL, whose scheme is ws or wss, and
// returns its response, which names no peers. Until it has announced the event "stopped" of the
// swarm, the client keeps a connection to the tracker, announces again if it had to connect again,
// asks signals for a few offers if the tracker has peers to take them, and gives it the offers and
// answers of other peers. One connection serves all swarms. It follows no redirects.
func (c *Client) AnnounceSignals(ctx context.Context, rawURL string, req *tracker.AnnounceRequest, signals tracker.Signals) (*tracker.AnnounceResponse, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, &URLError{URL: origin(u), Reason: "the scheme is not ws or wss"}
	}
	ctx, done, err := c.begin(ctx, u)
	if err != nil {
		return nil, err
	}
	defer done()
	t, err := c.socket(u)
	if err != nil {
		return nil, c.explain(ctx, u, err)
	}
	resp, err := t.announce(ctx, req, signals)
	if err != nil {
		return nil, c.explain(ctx, u, err)
	}
	return resp, nil
}

// socket returns the connection to a tracker, which may have to be made.
func (c *Client) socket(u *url.URL) (*wsTracker, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	key := u.String()
	if t := c.sockets[key]; t != nil {
		return t, nil
	}
	if len(c.sockets) >= maxSockets {
		return nil, errTooManySockets
	}
	t := &wsTracker{c: c, u: u, key: key, swarms: map[spate.InfoHash]*wsSwarm{}, work: make(chan struct{}, 1), answering: make(chan struct{}, maxAnswering)}
	if c.sockets == nil {
		c.sockets = map[string]*wsTracker{}
	}
	c.sockets[key] = t
	c.wsRuns.Go(t.run)
	return t, nil
}

// drop removes a tracker without swarms. It returns false if it has some.
func (t *wsTracker) drop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.swarms) > 0 || len(t.queue) > 0 {
		return false
	}
	delete(t.c.sockets, t.key)
	t.dropped = true
	return true
}

// wsTracker is a WebSocket tracker and the connection to it.
type wsTracker struct {
	c         *Client
	u         *url.URL
	key       string
	work      chan struct{} // receives a value when queue has grown
	answering chan struct{} // a token for each offer that is answered

	mu      sync.Mutex // guards the fields below
	swarms  map[spate.InfoHash]*wsSwarm
	queue   []*wsCall // announces to send
	sent    []*wsCall // announces that wait for a reply, in their order
	conn    *websocket.Conn
	credit  float64 // offers of others that may be answered now
	refill  time.Time
	dropped bool
}

// wsSwarm is a swarm that is announced to a tracker.
type wsSwarm struct {
	last    tracker.AnnounceRequest // the last announce
	signals tracker.Signals
	offers  map[wire.OfferID]*wsOffer
}

// wsCall is an announce that waits for its reply.
type wsCall struct {
	req  tracker.AnnounceRequest
	done chan struct{} // closed when resp or err is set
	resp *tracker.AnnounceResponse
	err  error
}

// announce announces a swarm and waits for the reply.
func (t *wsTracker) announce(ctx context.Context, req *tracker.AnnounceRequest, signals tracker.Signals) (*tracker.AnnounceResponse, error) {
	call := &wsCall{req: *req, done: make(chan struct{})}
	t.mu.Lock()
	if t.dropped { // it was idle until now
		t.mu.Unlock()
		again, err := t.c.socket(t.u)
		if err != nil {
			return nil, err
		}
		return again.announce(ctx, req, signals)
	}
	w := t.swarms[req.InfoHash]
	if w == nil {
		w = &wsSwarm{offers: map[wire.OfferID]*wsOffer{}}
	}
	w.last, w.signals = *req, signals
	w.last.Event = tracker.EventNone
	if req.Event == tracker.EventStopped {
		delete(t.swarms, req.InfoHash)
		w.withdraw()
		if t.conn == nil { // the tracker has forgotten this side already
			t.mu.Unlock()
			return &tracker.AnnounceResponse{Interval: wsInterval, Complete: tracker.Unknown, Incomplete: tracker.Unknown, Downloaded: tracker.Unknown}, nil
		}
	} else {
		t.swarms[req.InfoHash] = w
	}
	t.queue = append(t.queue, call)
	t.mu.Unlock()
	select {
	case t.work <- struct{}{}:
	default:
	}
	select {
	case <-call.done:
		return call.resp, call.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// finish ends a call.
func (call *wsCall) finish(resp *tracker.AnnounceResponse, err error) {
	call.resp, call.err = resp, err
	close(call.done)
}

// failAll ends all calls with an error, and the offers, whose answers cannot arrive any more.
func (t *wsTracker) failAll(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conn = nil
	for _, call := range append(t.sent, t.queue...) {
		call.finish(nil, err)
	}
	t.sent, t.queue = nil, nil
	for _, w := range t.swarms {
		w.withdraw()
	}
}

// run connects to the tracker while there are swarms, until the client is closed.
func (t *wsTracker) run() {
	ctx := t.c.wsCtx
	for failures := 0; ; {
		if !t.await(ctx, failures) {
			break
		}
		conn, err := t.dial(ctx)
		if err == nil {
			failures = 0
			err = t.serve(ctx, conn)
			if err == nil { // it was idle
				continue
			}
		}
		failures++
		t.failAll(err)
	}
	t.failAll(net.ErrClosed)
}

// await waits until the tracker is needed, and after failures for the time until the next try. An
// announce begins a try sooner, at most once in wsFirstRetry. await returns false if the tracker
// was dropped or the client closed.
func (t *wsTracker) await(ctx context.Context, failures int) bool {
	pause := time.Duration(0)
	if failures > 0 {
		first := t.c.wsRetry
		if !sleep(ctx, first) {
			return false
		}
		pause = min(wsLastRetry, first<<min(failures-1, 10)) - first
	}
	for {
		t.mu.Lock()
		swarms, queued := len(t.swarms), len(t.queue)
		t.mu.Unlock()
		if queued > 0 || swarms > 0 && pause <= 0 {
			return ctx.Err() == nil
		}
		wait := wsIdle
		if swarms > 0 {
			wait = pause
		}
		timer := time.NewTimer(wait)
		select {
		case <-t.work:
			timer.Stop()
		case <-ctx.Done():
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

// dial connects to the tracker within the reach of its URL.
func (t *wsTracker) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wsDialTime, errTimeout)
	defer cancel()
	reach := reachOf(t.u)
	transport := t.c.transport()
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return t.c.dialer.DialContext(ctx, reach, network, addr)
	}
	conn, resp, err := websocket.Dial(ctx, t.u.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader: http.Header{"User-Agent": {t.c.opts.UserAgent}},
	})
	if err != nil {
		transport.CloseIdleConnections()
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, &AnswerError{URL: origin(t.u), Status: resp.StatusCode}
		}
		return nil, t.c.explain(ctx, t.u, err)
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
	t.conn = conn
	repeat := make([]spate.InfoHash, 0, len(t.swarms))
	for ih := range t.swarms {
		repeat = append(repeat, ih)
	}
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
	return fmt.Errorf("tracker %s: %w", origin(t.u), err)
}

// write sends what is queued, first the swarms that the tracker knew before the connection was made
// again, and pings.
func (t *wsTracker) write(ctx context.Context, conn *websocket.Conn, repeat []spate.InfoHash) error {
	ping := time.NewTicker(wsPingEvery)
	defer ping.Stop()
	idle := time.NewTicker(wsIdle)
	defer idle.Stop()
	for {
		for {
			call := t.next()
			if call == nil {
				break
			}
			if err := t.send(ctx, conn, &call.req, nil); err != nil {
				return err
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
		case <-ping.C:
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

// next takes the next call of the queue.
func (t *wsTracker) next() *wsCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil
	}
	call := t.queue[0]
	t.queue = t.queue[1:]
	t.sent = append(t.sent, call)
	return call
}

// repeat announces a swarm again that nobody waits for.
func (t *wsTracker) repeat(ctx context.Context, conn *websocket.Conn, ih spate.InfoHash) error {
	t.mu.Lock()
	w := t.swarms[ih]
	asked := w == nil
	for _, call := range append(t.sent, t.queue...) {
		asked = asked || call.req.InfoHash == ih
	}
	var req tracker.AnnounceRequest
	if !asked {
		req = w.last
	}
	t.mu.Unlock()
	if asked {
		return nil
	}
	req.Event = tracker.EventStarted
	return t.send(ctx, conn, &req, nil)
}

// send sends an announce with offers. A "stopped" waits for no reply, because some trackers send
// none.
func (t *wsTracker) send(ctx context.Context, conn *websocket.Conn, req *tracker.AnnounceRequest, offers []wire.WSOffer) error {
	m := wire.WSRequest{
		Action: wire.WSAnnounce, InfoHash: req.InfoHash, PeerID: req.PeerID, Event: req.Event, NumWant: req.NumWant,
		Uploaded: req.Uploaded, Downloaded: req.Downloaded, Left: req.Left, TrackerID: req.TrackerID, Offers: offers,
		// The torrents of a spate site name its HTTP tracker too, which counts this peer.
		Twice: true,
	}
	if len(offers) > 0 {
		m.NumWant = len(offers)
	}
	err := t.put(ctx, conn, wire.AppendWSRequest(nil, &m))
	if err == nil && req.Event == tracker.EventStopped {
		t.reply(&wire.WSReply{InfoHash: req.InfoHash, Complete: tracker.Unknown, Incomplete: tracker.Unknown, Downloaded: tracker.Unknown, Takers: tracker.Unknown})
	}
	return err
}

// put sends one message.
func (t *wsTracker) put(ctx context.Context, conn *websocket.Conn, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, wsWriteTime)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, message)
}
