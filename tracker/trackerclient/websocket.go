package trackerclient

import (
	"context"
	"errors"
	"net"
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
	wsFloor       = time.Minute      // until an announce causes a try before its time
	wsLastRetry   = 10 * time.Minute
	wsSteady      = time.Minute           // a connection that ends sooner counts as a failure
	wsSilence     = 20 * time.Second      // without a reply, after which an announce that is given up ends the connection
	wsReplyTime   = time.Minute           // until a reply for which nobody waits is not expected any more
	wsRepeatPause = 20 * time.Millisecond // between the announces after a new connection
	wsInterval    = 2 * time.Minute       // between announces, if the tracker sets no interval
	wsAbandoned   = 35 * time.Minute      // at least, since the last announce, until an unannounced swarm is left; more than the pauses of a caller after failures
)

var (
	errTooManySockets = errors.New("connected to too many WebSocket trackers")
	errSocketEnded    = errors.New("the connection ended before the response")
	errSwarmLeft      = errors.New("the swarm was left before it was announced")
)

// AnnounceSignals announces to the WebSocket tracker at rawURL, whose scheme is ws or wss, and
// returns its response, which names no peers. Until it has announced the event "stopped" of the
// swarm, the client keeps a connection to the tracker, announces again if it had to connect again,
// asks signals for a few offers if the tracker has peers to take them, and gives it the offers and
// answers of other peers. It also leaves a swarm that the tracker refuses, and one that the caller has
// not announced for more than two intervals. One connection serves all swarms. It follows no redirects.
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
	t, err := c.socket(u, req.Event != tracker.EventStopped)
	if err != nil {
		return nil, c.explain(ctx, u, err)
	}
	if t == nil { // the tracker knows nothing of this side
		return stoppedResponse(), nil
	}
	resp, err := t.announce(ctx, req, signals)
	if err != nil {
		return nil, c.explain(ctx, u, err)
	}
	return resp, nil
}

// socket returns the connection to a tracker. If there is none, it begins one, or returns nil if
// begin is false.
func (c *Client) socket(u *url.URL, begin bool) (*wsTracker, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	key := u.String()
	if t := c.sockets[key]; t != nil || !begin {
		return t, nil
	}
	if len(c.sockets) >= maxSockets && !c.evictLocked() {
		return nil, errTooManySockets
	}
	t := &wsTracker{c: c, u: u, key: key, swarms: map[spate.InfoHash]*wsSwarm{}, work: make(chan struct{}, 1), answering: make(chan struct{}, maxAnswering)}
	t.ctx, t.stop = context.WithCancelCause(c.wsCtx)
	if c.sockets == nil {
		c.sockets = map[string]*wsTracker{}
	}
	c.sockets[key] = t
	c.wsRuns.Go(t.run)
	return t, nil
}

// evictLocked drops a tracker that cannot be reached, so that it does not keep out others: first one
// that never answered, then the one that has failed more often. It returns false if all can be reached.
func (c *Client) evictLocked() bool {
	var worst *wsTracker
	most := 0
	for _, t := range c.sockets {
		t.mu.Lock()
		rank := t.failures
		if len(t.swarms) == 0 {
			rank += 1000
		}
		if t.conn == nil && t.failures > 0 && rank > most {
			worst, most = t, rank
		}
		t.mu.Unlock()
	}
	if worst == nil {
		return false
	}
	delete(c.sockets, worst.key)
	worst.mu.Lock()
	worst.dropped = true
	worst.mu.Unlock()
	worst.stop(errTooManySockets)
	return true
}

// drop removes a tracker without swarms. It returns false if it has some.
func (t *wsTracker) drop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dropped {
		return true
	}
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
	ctx       context.Context // ends when the tracker is dropped
	stop      context.CancelCauseFunc
	work      chan struct{} // receives a value when queue has grown
	answering chan struct{} // a token for each offer that is answered

	out sync.Mutex // held while announces are added to sent and written, so that their orders agree

	mu       sync.Mutex // guards the fields below
	swarms   map[spate.InfoHash]*wsSwarm
	queue    []*wsCall // announces to send
	sent     []wsSent  // announces whose reply has not come, in their order
	conn     *websocket.Conn
	hangUp   context.CancelCauseFunc // ends conn
	heard    bool                    // the tracker has replied over conn
	failures int                     // connections in a row that failed or ended soon
	failure  error                   // why the last of them ended; nil while there is a connection
	credit   float64                 // offers of others that may be answered now
	refill   time.Time
	dropped  bool
}

// wsSwarm is a swarm that is announced to a tracker.
type wsSwarm struct {
	last     tracker.AnnounceRequest // the last announce
	asked    time.Time               // when the caller announced it
	interval time.Duration           // between announces
	known    bool                    // the tracker has accepted an announce
	refused  bool                    // the tracker has refused the last announce
	signals  tracker.Signals
	offers   map[wire.OfferID]*wsOffer
}
