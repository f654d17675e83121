package trackerclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/tracker"
	"spate/tracker/wire"
)

// Times of UDP connections.
const (
	connectionIDLife = time.Minute     // how long a client may use a connection id (BEP 15)
	udpIdle          = 2 * time.Minute // how long an unused socket stays open
)

// maxUDPReply is the length in bytes of the longest packet that is read completely.
const maxUDPReply = 16 << 10

// udpKey identifies a socket. It contains the reach, so that a request never uses a
// socket to an address that it may not connect to.
type udpKey struct {
	network, address string
	within           netguard.Reach
}

// udpTracker is the socket to one tracker, or a connection of Options.DialUDP. The announces of all torrents share it and
// its connection id; the transaction id tells their replies apart.
type udpTracker struct {
	client     *Client
	key        udpKey
	conn       net.Conn
	v6         bool
	firstWait  time.Duration // how long to wait for the first reply
	connecting chan struct{} // holds a token unless a request for a connection id is in progress

	mu      sync.Mutex // guards the fields below
	waiting map[uint32]chan udpReply
	connID  uint64
	connAt  time.Time // zero if there is no connection id
	users   int
	idle    *time.Timer
	err     error // set when the socket is closed
}

type udpReply struct {
	action wire.Action
	body   []byte
	err    error
}

var errNoReply = errors.New("no reply")

func (c *Client) announceUDP(ctx context.Context, f family, u *url.URL, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	t, err := c.udpTracker(ctx, f, u)
	if err != nil {
		return nil, err
	}
	defer t.release()
	data := urlData(u)
	body, err := t.ask(ctx, u, wire.ActionAnnounce, func(connID uint64, tid uint32) []byte {
		return wire.AppendUDPAnnounce(nil, connID, tid, req, data)
	})
	if err != nil {
		return nil, err
	}
	resp, err := wire.ParseUDPAnnounceReply(body, t.v6)
	if err != nil {
		return nil, &AnswerError{URL: origin(u), Err: err}
	}
	return resp, nil
}

func (c *Client) scrapeUDP(ctx context.Context, f family, u *url.URL, hashes []spate.InfoHash) ([]tracker.ScrapeEntry, error) {
	t, err := c.udpTracker(ctx, f, u)
	if err != nil {
		return nil, err
	}
	defer t.release()
	body, err := t.ask(ctx, u, wire.ActionScrape, func(connID uint64, tid uint32) []byte {
		return wire.AppendUDPScrape(nil, connID, tid, hashes)
	})
	if err != nil {
		return nil, err
	}
	out, err := wire.ParseUDPScrapeReply(body, hashes)
	if err != nil {
		return nil, &AnswerError{URL: origin(u), Err: err}
	}
	return out, nil
}

// urlData returns the path and query to send as BEP 41 options. It returns "" if they
// contain nothing but the default path.
func urlData(u *url.URL) string {
	if u.RawQuery == "" && (u.Path == "" || u.Path == "/" || u.Path == "/announce") {
		return ""
	}
	return u.RequestURI()
}

// udpTracker returns the socket to the host of u. The caller must release it.
func (c *Client) udpTracker(ctx context.Context, f family, u *url.URL) (*udpTracker, error) {
	key := udpKey{f.of("udp"), u.Host, reachOf(u)}
	if t, err := c.existingUDP(key); t != nil || err != nil {
		return t, err
	}
	conn, err := c.dialUDP(ctx, key)
	if err != nil {
		return nil, err
	}
	t := &udpTracker{
		client: c, key: key, conn: conn, firstWait: c.opts.UDPTimeout, users: 1,
		connecting: make(chan struct{}, 1), waiting: map[uint32]chan udpReply{},
	}
	t.connecting <- struct{}{}
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		t.v6 = !ap.Addr().Unmap().Is4()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	if other := c.udp[key]; other.use() {
		conn.Close()
		return other, nil
	}
	c.udp[key] = t
	go t.read()
	return t, nil
}

// dialUDP opens the socket for key.
func (c *Client) dialUDP(ctx context.Context, key udpKey) (net.Conn, error) {
	if c.opts.DialUDP != nil {
		conn, err := c.dialerUDP.DialContext(ctx, key.within, key.network, key.address)
		if !errors.Is(err, errors.ErrUnsupported) {
			return conn, err
		}
	}
	return c.dialer.DialContext(ctx, key.within, key.network, key.address)
}

// existingUDP returns the open socket for key, or nil if there is none.
func (c *Client) existingUDP(key udpKey) (*udpTracker, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	if t := c.udp[key]; t.use() {
		return t, nil
	}
	return nil, nil
}

// use adds a user to t. It returns false if t is nil or closed.
func (t *udpTracker) use() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return false
	}
	t.users++
	if t.idle != nil {
		t.idle.Stop()
		t.idle = nil
	}
	return true
}

// release removes a user from t. Without users, t is closed after udpIdle.
func (t *udpTracker) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users--
	if t.users == 0 && t.err == nil {
		t.idle = time.AfterFunc(udpIdle, t.closeIdle)
	}
}

func (t *udpTracker) closeIdle() { t.closeIf(net.ErrClosed, func() bool { return t.users == 0 }) }

// close fails all waiting requests with err and removes the socket from the client.
func (t *udpTracker) close(err error) { t.closeIf(err, func() bool { return true }) }

// closeIf closes t if cond returns true. It calls cond with the lock held.
func (t *udpTracker) closeIf(err error, cond func() bool) {
	t.mu.Lock()
	if t.err != nil || !cond() {
		t.mu.Unlock()
		return
	}
	t.err = err
	if t.idle != nil {
		t.idle.Stop()
	}
	for _, ch := range t.waiting {
		ch <- udpReply{err: err} // never blocks: each channel has a buffer for its only reply
	}
	t.waiting = nil
	t.mu.Unlock()
	t.conn.Close()

	c := t.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.udp[t.key] == t {
		delete(c.udp, t.key)
	}
}

// read passes replies to the waiting requests until the socket fails. A connected
// socket fails when the tracker's port is closed.
func (t *udpTracker) read() {
	buf := make([]byte, maxUDPReply)
	for {
		n, err := t.conn.Read(buf)
		if err != nil {
			t.close(err)
			return
		}
		action, tid, body, err := wire.ParseUDPReply(buf[:n])
		if err != nil {
			continue // ignore late and forged packets
		}
		t.mu.Lock()
		if ch, ok := t.waiting[tid]; ok {
			delete(t.waiting, tid)
			ch <- udpReply{action: action, body: append([]byte(nil), body...)}
		}
		t.mu.Unlock()
	}
}

// ask sends a request until it gets a reply. It gets a connection id first if there is
// none. As in BEP 15, it waits 15 s for the first reply and twice as long after each
// packet without a reply; a reply resets the wait.
func (t *udpTracker) ask(ctx context.Context, u *url.URL, want wire.Action, build func(connID uint64, tid uint32) []byte) ([]byte, error) {
	renewed := false
	for n := 0; n < udpTries; {
		connID, fresh, err := t.connect(ctx, u, &n)
		if errors.Is(err, errNoReply) {
			continue
		}
		if err != nil {
			return nil, err
		}
		reply, err := t.roundTrip(ctx, t.firstWait<<n, func(tid uint32) []byte { return build(connID, tid) })
		switch {
		case errors.Is(err, errNoReply):
			n++
			continue
		case err != nil:
			return nil, err
		case reply.action == want:
			return reply.body, nil
		case reply.action == wire.ActionError && !fresh && !renewed:
			// The tracker may have restarted with another key: try again with a new id.
			t.forget(connID)
			renewed = true
			continue
		case reply.action == wire.ActionError:
			return nil, wire.ParseUDPError(reply.body)
		}
		return nil, &AnswerError{URL: origin(u), Err: wrongAction(want, reply.action)}
	}
	return nil, &SilenceError{URL: origin(u)}
}

func wrongAction(want, got wire.Action) error {
	return fmt.Errorf("action %d instead of %d", got, want)
}

// connect returns a valid connection id, and whether it is new. n counts the packets
// without a reply.
func (t *udpTracker) connect(ctx context.Context, u *url.URL, n *int) (id uint64, fresh bool, err error) {
	if id, ok := t.connection(); ok {
		return id, false, nil
	}
	select {
	case <-t.connecting:
		defer func() { t.connecting <- struct{}{} }()
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
	if id, ok := t.connection(); ok { // another request got one in the meantime
		return id, true, nil
	}
	reply, err := t.roundTrip(ctx, t.firstWait<<*n, func(tid uint32) []byte { return wire.AppendUDPConnect(nil, tid) })
	if err != nil {
		if errors.Is(err, errNoReply) {
			*n++
		}
		return 0, false, err
	}
	*n = 0
	switch reply.action {
	case wire.ActionConnect:
		id, err = wire.ParseUDPConnectReply(reply.body)
	case wire.ActionError:
		return 0, false, wire.ParseUDPError(reply.body)
	default:
		err = wrongAction(wire.ActionConnect, reply.action)
	}
	if err != nil {
		return 0, false, &AnswerError{URL: origin(u), Err: err}
	}
	t.mu.Lock()
	t.connID, t.connAt = id, time.Now()
	t.mu.Unlock()
	return id, true, nil
}

func (t *udpTracker) connection() (uint64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.connID, !t.connAt.IsZero() && time.Since(t.connAt) < connectionIDLife
}

// forget drops the connection id unless it has changed.
func (t *udpTracker) forget(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.connID == id {
		t.connAt = time.Time{}
	}
}

// roundTrip sends one packet and waits for its reply. It returns errNoReply if there is
// none within wait.
func (t *udpTracker) roundTrip(ctx context.Context, wait time.Duration, build func(tid uint32) []byte) (udpReply, error) {
	tid, ch, err := t.expect()
	if err != nil {
		return udpReply{}, err
	}
	defer t.cancel(tid)
	if _, err := t.conn.Write(build(tid)); err != nil {
		return udpReply{}, err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case reply := <-ch:
		return reply, reply.err
	case <-timer.C:
		return udpReply{}, errNoReply
	case <-ctx.Done():
		return udpReply{}, ctx.Err()
	}
}

// expect reserves an unused transaction id and returns the channel for its reply.
func (t *udpTracker) expect() (uint32, chan udpReply, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return 0, nil, t.err
	}
	for {
		tid := rand.Uint32()
		if _, taken := t.waiting[tid]; !taken {
			ch := make(chan udpReply, 1)
			t.waiting[tid] = ch
			return tid, ch, nil
		}
	}
}

func (t *udpTracker) cancel(tid uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, tid)
}
