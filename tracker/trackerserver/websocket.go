package trackerserver

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"spate/internal/fairpool"
	"spate/internal/weburl"
	"spate/tracker"
	"spate/tracker/trackerserver/internal/httpconn"
	"spate/tracker/wire"
)

// A WebSocket client takes these steps: ServeHTTP calls upgrade; accept gives it a slot and starts
// serve, which reads its messages; sockethandle.go handles them; joined.go lists its
// swarms; meeting.go decides which clients get its offers; pending.go knows which offers can be
// answered; socket.go sends.

// DefaultMaxSockets is the default of Options.MaxSockets.
const DefaultMaxSockets = 20_000

// socketGrace is the time for which a client that has announced keeps its slot although it sends
// nothing and other clients need the slot.
const socketGrace = 2 * socketInterval

// sockets are the WebSocket clients of a server.
type sockets struct {
	s        *Server
	origins  []string // allowed origins in lower case; empty: all
	hosts    []string // names of this machine, in lower case
	n        *counters
	offers   *limiter // limits the offers of a network
	meetings meetings
	calls    sync.Pool // pool of *socketCall
	spare    spareSwarms
	pongTime time.Duration // pongTime; a test sets another one

	running sync.WaitGroup // counts the clients that have a slot, and the goroutines of check

	mu     sync.Mutex // guards the fields below
	pool   *fairpool.Pool[*socket]
	all    map[*socket]struct{} // the clients that serve serves
	closed bool
}

func newSockets(s *Server) (*sockets, error) {
	o := &s.opts
	n := o.MaxSockets
	switch {
	case n < 0:
		return nil, fmt.Errorf("trackerserver: negative limit (%d WebSocket clients)", n)
	case n == 0:
		n = DefaultMaxSockets
	}
	ss := &sockets{
		s: s, n: s.newCounters(), all: map[*socket]struct{}{}, offers: newLimiter(o.Limit, o.Now()), pongTime: pongTime,
		pool: fairpool.New[*socket](fairpool.Options{Slots: n, Grace: firstTime, Pause: socketGrace}),
	}
	ss.calls.New = func() any { return new(socketCall) }
	if err := CheckOrigins(o.Origins); err != nil {
		return nil, fmt.Errorf("trackerserver: %w", err)
	}
	for _, origin := range o.Origins {
		ss.origins = append(ss.origins, strings.ToLower(origin))
	}
	for _, host := range o.Hosts {
		ss.hosts = append(ss.hosts, strings.ToLower(host))
	}
	return ss, nil
}

// CheckOrigins returns an error if Options.Origins may not have one of these values.
func CheckOrigins(origins []string) error {
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return fmt.Errorf("%q is not an origin like https://example.org", origin)
		}
	}
	return nil
}

// upgrading reports whether r asks for a WebSocket connection.
func upgrading(r *http.Request) bool {
	for _, field := range r.Header["Upgrade"] {
		for item := range strings.SplitSeq(field, ",") {
			if strings.EqualFold(strings.TrimSpace(item), "websocket") {
				return true
			}
		}
	}
	return false
}

// allowsOrigin reports whether the page that made a request may use the tracker. Programs other
// than browsers send no Origin. A page of the tracker's own host may, but not under a name that is not
// known: the site of a stranger can make its name resolve to this machine (DNS rebinding).
func (ss *sockets) allowsOrigin(r *http.Request) bool {
	origin := strings.ToLower(r.Header.Get("Origin"))
	if len(ss.origins) == 0 || origin == "" || slices.Contains(ss.origins, origin) {
		return true
	}
	_, host, _ := strings.Cut(origin, "://")
	return host == strings.ToLower(r.Host) && (weburl.OnlyOwn(host) || slices.Contains(ss.hosts, weburl.HeaderName(host)))
}

// upgrade answers a request for a WebSocket connection.
func (ss *sockets) upgrade(w http.ResponseWriter, r *http.Request, token []byte) {
	s := ss.s
	from, _ := s.clientAddr(remoteAddr(r), r.Header["X-Forwarded-For"])
	if len(token) == 0 && s.opts.Tokens != nil {
		token, _ = wire.QueryValue([]byte(r.URL.RawQuery), "token", tokenLen)
	}
	if !ss.allowsOrigin(r) {
		http.Error(w, "this tracker does not serve pages of "+strconv.Quote(r.Header.Get("Origin")), http.StatusForbidden)
		return
	}
	if wait := s.limit.allow(s.now(), from); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		http.Error(w, "too many requests from your network", http.StatusTooManyRequests)
		return
	}
	if s.rules.Load().refuse(from) {
		http.Error(w, refuseAddress.Reason, http.StatusForbidden)
		return
	}
	k := &socket{from: from, token: bytes.Clone(token)}
	if !ss.enter(k) {
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	if err := k.open(w, r); err != nil {
		ss.leave(k)
		return
	}
	httpconn.Release(r.Context()) // the slot of ss.pool replaces it
	go ss.serve(k)
}

// open takes over the connection of a request and answers it.
func (k *socket) open(w http.ResponseWriter, r *http.Request) error {
	h := &hijacked{ResponseWriter: w}
	conn, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled,
		OnPingReceived: func(context.Context, []byte) bool {
			k.raw.SetWriteDeadline(time.Now().Add(sendTime)) // for the pong: that of the last message has passed
			return true
		},
	})
	if err != nil {
		if h.conn != nil {
			h.conn.Close()
		}
		return err
	}
	conn.SetReadLimit(wire.MaxWSMessage)
	k.conn, k.raw = conn, h.conn
	k.await(firstTime)
	return nil
}

// enter gives a client a slot, and disconnects another client if needed. It returns false if there
// is no slot.
func (ss *sockets) enter(k *socket) bool {
	now := ss.s.now()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed {
		return false
	}
	slot, out := ss.pool.Enter(now, fairpool.NetworkOf(k.from), k)
	if slot == nil {
		ss.s.connCounts.Overflowed.Add(1)
		return false
	}
	slot.Offer(now)
	k.slot = slot
	ss.running.Add(1)
	if out != nil {
		ss.s.connCounts.Ended.Add(1)
		out.Value.evicted = true
		if _, serving := ss.all[out.Value]; serving {
			out.Value.end()
		}
	}
	return true
}

// announced records that a client has announced, and must do so again.
func (ss *sockets) announced(now time.Time, k *socket) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	k.slot.Took(now, 1)
	k.slot.Offer(now)
}

// leave frees the slot of a client.
func (ss *sockets) leave(k *socket) {
	defer ss.running.Done()
	now := ss.s.now()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	k.slot.Leave(now)
	delete(ss.all, k)
}

// serve reads the messages of a client until the connection ends.
func (ss *sockets) serve(k *socket) {
	defer ss.leave(k)
	defer k.conn.CloseNow()
	ss.mu.Lock()
	serving := !ss.closed && !k.evicted
	if serving {
		ss.all[k] = struct{}{}
	}
	ss.mu.Unlock()
	if !serving {
		return
	}
	defer ss.depart(k)
	for ss.next(k) {
	}
}

// close disconnects all clients, refuses new ones, and waits until the store is told.
func (ss *sockets) close() {
	ss.mu.Lock()
	ss.closed = true
	for k := range ss.all {
		k.end()
	}
	ss.mu.Unlock()
	ss.running.Wait()
}

// count sets the number of clients.
func (ss *sockets) count(c *tracker.Counts) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	c.Sockets = uint64(len(ss.all))
}

// webSocketRoute reports whether a request is for the WebSocket tracker.
func (s *Server) webSocketRoute(r *http.Request) (token []byte, ok bool) {
	route, token := s.routeOf(weburl.RawPath(r.URL))
	return token, route == routeAnnounce && r.Method == http.MethodGet && upgrading(r)
}
