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

// Times of the UDP protocol.
const (
	connectionIDLife = time.Minute     // a client may use an id for that long (BEP 15)
	udpIdle          = 2 * time.Minute // then a tracker's socket is closed
)

// maxUDPReply is the longest datagram that is read whole.
const maxUDPReply = 16 << 10

// udpKey tells sockets apart. Each reach has its own, so that a socket that one
// request was allowed to open is never used by another to which it would be forbidden.
type udpKey struct {
	network, address string
	within           netguard.Reach
}

// udpTracker is the socket to one tracker, shared by the announces of all
// torrents: they use one connection id and are told apart by transaction id.
type udpTracker struct {
	client *Client
	key    udpKey
	conn   net.Conn
	v6     bool
	base   time.Duration // the first wait for a reply
	dialer chan struct{} // holds a token while nobody asks for a connection id

	mu      sync.Mutex // guards what follows
	waiting map[uint32]chan udpReply
	connID  uint64
	connAt  time.Time // zero: no connection id
	users   int
	idle    *time.Timer
	err     error // set once closed
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

// urlData is what BEP 41 adds to an announce: path and query, unless they say
// nothing that the tracker does not know.
func urlData(u *url.URL) string {
	if u.RawQuery == "" && (u.Path == "" || u.Path == "/" || u.Path == "/announce") {
		return ""
	}
	return u.RequestURI()
}

// udpTracker returns the socket to u's host, to be released after use.
func (c *Client) udpTracker(ctx context.Context, f family, u *url.URL) (*udpTracker, error) {
	key := udpKey{f.of("udp"), u.Host, reachOf(u)}
	if t, err := c.knownUDP(key); t != nil || err != nil {
		return t, err
	}
	conn, err := c.dialer.DialContext(ctx, key.within, key.network, key.address)
	if err != nil {
		return nil, err
	}
	t := &udpTracker{
		client: c, key: key, conn: conn, base: c.opts.UDPTimeout, users: 1,
		dialer: make(chan struct{}, 1), waiting: map[uint32]chan udpReply{},
	}
	t.dialer <- struct{}{}
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

// knownUDP returns the open socket for key, nil where there is none.
func (c *Client) knownUDP(key udpKey) (*udpTracker, error) {
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

// use takes t unless it is nil or closed.
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

// release gives t back; without users it is closed after udpIdle.
func (t *udpTracker) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users--; t.users == 0 && t.err == nil {
		t.idle = time.AfterFunc(udpIdle, t.closeIdle)
	}
}

func (t *udpTracker) closeIdle() { t.closeIf(net.ErrClosed, func() bool { return t.users == 0 }) }

// close fails whoever waits with err and forgets the socket.
func (t *udpTracker) close(err error) { t.closeIf(err, func() bool { return true }) }

// closeIf closes t if cond, called with the lock held, says so.
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
		ch <- udpReply{err: err} // has room: one reply a channel
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

// read hands replies to those who wait for them, until the socket fails: a
// connected one does when its tracker's port is closed.
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
			continue // not for anybody: a late or forged packet
		}
		t.mu.Lock()
		if ch, ok := t.waiting[tid]; ok {
			delete(t.waiting, tid)
			ch <- udpReply{action: action, body: append([]byte(nil), body...)}
		}
		t.mu.Unlock()
	}
}

// ask sends a request until its reply comes, asking for a connection id first
// where there is none. The waits are those of BEP 15: 15 s doubled with every
// packet in vain, and from the start after a reply.
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
		reply, err := t.roundTrip(ctx, t.base<<n, func(tid uint32) []byte { return build(connID, tid) })
		switch {
		case errors.Is(err, errNoReply):
			n++
			continue
		case err != nil:
			return nil, err
		case reply.action == want:
			return reply.body, nil
		case reply.action == wire.ActionError && !fresh && !renewed:
			// Maybe the tracker forgot its key: once more with a new id.
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

// connect returns a connection id that holds, and whether it was asked for just
// now. It counts packets in vain in n.
func (t *udpTracker) connect(ctx context.Context, u *url.URL, n *int) (id uint64, fresh bool, err error) {
	if id, ok := t.connection(); ok {
		return id, false, nil
	}
	select {
	case <-t.dialer:
		defer func() { t.dialer <- struct{}{} }()
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
	if id, ok := t.connection(); ok { // another request asked meanwhile
		return id, true, nil
	}
	reply, err := t.roundTrip(ctx, t.base<<*n, func(tid uint32) []byte { return wire.AppendUDPConnect(nil, tid) })
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

// forget drops the connection id if it is still id.
func (t *udpTracker) forget(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.connID == id {
		t.connAt = time.Time{}
	}
}

// roundTrip sends one packet and waits for its reply; errNoReply when there is
// none within wait.
func (t *udpTracker) roundTrip(ctx context.Context, wait time.Duration, build func(tid uint32) []byte) (udpReply, error) {
	tid, ch, err := t.expect()
	if err != nil {
		return udpReply{}, err
	}
	defer t.unexpect(tid)
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

// expect takes a transaction id that nobody uses.
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

func (t *udpTracker) unexpect(tid uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, tid)
}
