package trackerserver

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// wsClient is a WebSocket client of a tracker.
type wsClient struct {
	t    *testing.T
	conn *websocket.Conn
	id   spate.PeerID
}

// dialWS connects a client with the peer id of peer(n).
func dialWS(t *testing.T, addr, path string, n int, headers ...string) *wsClient {
	t.Helper()
	c, err := tryWS(t, addr, path, n, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryWS(t *testing.T, addr, path string, n int, headers ...string) (*wsClient, error) {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	conn, _, err := websocket.Dial(ctx, "ws://"+addr+path, &websocket.DialOptions{HTTPHeader: h, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(2 * wire.MaxWSMessage)
	t.Cleanup(func() { conn.CloseNow() })
	return &wsClient{t, conn, peer(n).PeerID}, nil
}

func (c *wsClient) write(message []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, message); err != nil {
		c.t.Fatal(err)
	}
}

func (c *wsClient) read() (r wire.WSReply) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, b, err := c.conn.Read(ctx)
	if err == nil {
		err = wire.ParseWSReply(b, &r)
	}
	if err != nil {
		c.t.Fatalf("%v: %q", err, b)
	}
	return r
}

// closed waits until the tracker closes the connection.
func (c *wsClient) closed() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		if _, _, err := c.conn.Read(ctx); err != nil {
			if ctx.Err() != nil {
				c.t.Fatal("the tracker did not close the connection")
			}
			return
		}
	}
}

// announce sends r as an announce for testHash, and returns the next message.
func (c *wsClient) announce(r wire.WSRequest) wire.WSReply {
	c.t.Helper()
	r.InfoHash, r.PeerID = testHash, c.id
	c.write(wire.AppendWSRequest(nil, &r))
	return c.read()
}

func offers(n int, first byte) (list []wire.WSOffer) {
	for i := range n {
		list = append(list, wire.WSOffer{ID: wire.OfferID{first, byte(i), 0xff}, SDP: fmt.Sprintf("v=0\r\no=%d-%d", first, i)})
	}
	return list
}

func TestWebSocketHandsOffersAndAnswersOn(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	addr := serveHTTP(t, s)
	a, b := dialWS(t, addr, "/announce", 1), dialWS(t, addr, "/announce", 2)
	if r := a.announce(wire.WSRequest{Left: 0}); r.Complete != 1 || r.Takers != 0 || r.Interval == 0 || r.Interval > 120 || r.InfoHash != testHash {
		t.Fatalf("the first reply: %+v", r)
	}
	sent := offers(3, 1)
	if r := b.announce(wire.WSRequest{Left: 9, Event: tracker.EventStarted, Offers: sent}); r.Complete != 1 || r.Incomplete != 1 || r.Takers != 1 {
		t.Fatalf("the second reply: %+v", r)
	}
	got := a.read()
	if got.Offer != sent[0].SDP || got.OfferID != sent[0].ID || got.PeerID != b.id || got.InfoHash != testHash {
		t.Fatalf("the seed got %+v", got)
	}
	answer := wire.WSRequest{InfoHash: testHash, PeerID: a.id, Answer: "v=0 answer", AnswerTo: got.OfferID, ToPeer: got.PeerID}
	unasked := answer
	unasked.AnswerTo[19]++
	for _, m := range []wire.WSRequest{unasked, answer, answer} { // only the first answer to an offer counts
		a.write(wire.AppendWSRequest(nil, &m))
	}
	if got := b.read(); got.Answer != "v=0 answer" || got.OfferID != sent[0].ID || got.PeerID != a.id {
		t.Fatalf("the leecher got %+v", got)
	}
	if r := b.announce(wire.WSRequest{Left: 9}); r.Answer != "" {
		t.Fatalf("the answer came twice: %+v", r)
	}
	if c := s.Counts(); c.Offers != 1 || c.Answers != 1 || c.Announces[tracker.WebSocket] != 3 || c.Announces4 != 3 || c.Sockets != 2 {
		t.Errorf("%+v", c)
	}
}

// TestWebSocketPeersAndOthersAreOneSwarm checks the counts of all transports, and that no client
// gets the address of a WebSocket peer.
func TestWebSocketPeersAndOthersAreOneSwarm(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []tracker.Observation
	s := newServer(t, Options{Observers: []func(*tracker.Observation){func(o *tracker.Observation) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, *o)
	}}})
	addr := serveHTTP(t, s)
	c := dialWS(t, addr, "/announce", 1)
	if _, err := announce(t, s, "192.0.2.1:9", peer(2)); err != nil {
		t.Fatal(err)
	}
	if r := c.announce(wire.WSRequest{Left: 5}); r.Incomplete != 2 || r.Takers != 0 {
		t.Errorf("over WebSocket: %+v", r)
	}
	if r, err := announce(t, s, "192.0.2.1:9", peer(2)); err != nil || r.Incomplete != 2 || len(r.Peers) != 0 {
		t.Errorf("over HTTP: %+v, %v", r, err)
	}
	if r := c.announce(wire.WSRequest{Left: 0, Event: tracker.EventCompleted}); r.Complete != 1 || r.Incomplete != 1 || r.Downloaded != 1 {
		t.Errorf("completed: %+v", r)
	}
	if r := c.announce(wire.WSRequest{Left: 0, Event: tracker.EventCompleted}); r.Downloaded != 1 {
		t.Errorf("completed again: %+v", r)
	}
	c.write(wire.AppendWSRequest(nil, &wire.WSRequest{Action: wire.WSScrape, Hashes: []spate.InfoHash{testHash, {7}}}))
	if r := c.read(); len(r.Entries) != 2 || r.Entries[0] != (tracker.ScrapeEntry{InfoHash: testHash, Complete: 1, Incomplete: 1, Downloaded: 1}) {
		t.Errorf("scrape: %+v", r)
	}
	if tot := s.store.Totals(); tot.SocketSeeders != 1 || tot.Seeders() != 1 || tot.Leechers() != 1 {
		t.Errorf("totals: %+v", tot)
	}
	if r := c.announce(wire.WSRequest{Left: 0, Event: tracker.EventStopped}); r.Complete != 0 || r.Incomplete != 1 {
		t.Errorf("stopped: %+v", r)
	}
	mu.Lock()
	defer mu.Unlock()
	last := seen[len(seen)-1]
	if first := seen[1]; first.Transport != tracker.WebSocket || !first.New || first.Addr() != netip.MustParseAddr("127.0.0.1") || first.Peer.IsValid() || !last.Removed {
		t.Errorf("observed %+v and %+v", first, last)
	}
}

func TestClosedWebSocketLeavesItsSwarms(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	addr := serveHTTP(t, s)
	a, b := dialWS(t, addr, "/announce", 1), dialWS(t, addr, "/announce", 2)
	a.announce(wire.WSRequest{Left: 5})
	b.announce(wire.WSRequest{Left: 5})
	a.conn.CloseNow()
	eventually(t, "the closed client leaves", func() bool { _, n, _, _ := s.store.Scrape(s.now(), testHash); return n == 1 })
	// A client that connects again replaces its peer of a connection that seems to be open.
	again := dialWS(t, addr, "/announce", 2)
	if r := again.announce(wire.WSRequest{Left: 5}); r.Incomplete != 1 || r.Takers != 0 {
		t.Errorf("connected again: %+v", r)
	}
	if r := b.announce(wire.WSRequest{Left: 5}); r.Incomplete != 1 {
		t.Errorf("the old connection announces again: %+v", r)
	}
	b.conn.CloseNow()
	again.conn.CloseNow()
	eventually(t, "all clients leave", func() bool {
		return s.store.Totals().Leechers() == 0 && s.Counts().Sockets == 0
	})
	for i := range s.sockets.meetings {
		if n := len(s.sockets.meetings[i].swarms); n > 0 {
			t.Errorf("%d swarms are left", n)
		}
	}
}

func TestPeerThatAnnouncesTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	observed := 0
	s := newServer(t, Options{Observers: []func(*tracker.Observation){func(*tracker.Observation) { observed++ }}})
	addr := serveHTTP(t, s)
	announce(t, s, "192.0.2.1:9", peer(1))
	a, b := dialWS(t, addr, "/announce", 1), dialWS(t, addr, "/announce", 2)
	if r := a.announce(wire.WSRequest{Left: 0, Event: tracker.EventCompleted, Twice: true}); r.Incomplete != 1 || r.Complete != 0 || r.Downloaded != 0 {
		t.Errorf("%+v", r)
	}
	if observed != 1 {
		t.Errorf("%d announces were observed", observed)
	}
	if r := b.announce(wire.WSRequest{Left: 5, Offers: offers(1, 1)}); r.Incomplete != 2 || r.Takers != 1 {
		t.Errorf("%+v", r)
	}
	if r := a.read(); r.Offer == "" {
		t.Errorf("the peer that is counted elsewhere got no offer: %+v", r)
	}
}

func TestWebSocketObeysThePolicies(t *testing.T) {
	t.Parallel()
	tokens, err := OpenTokens(filepath.Join(t.TempDir(), "tokens"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokens.Issue("ann")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Options{
		Tokens: tokens, RequireToken: true, OnlyAllowed: true, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		DenyNets: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Limit: RateLimit{PerSecond: 0.001, Burst: 4},
		Origins: []string{"https://example.org"},
	})
	addr := serveHTTP(t, s)
	const forwarded = "X-Forwarded-For"
	if r := dialWS(t, addr, "/announce", 1, forwarded, "192.0.2.1").announce(wire.WSRequest{Left: 1}); r.Failure != refuseNoToken.Reason || !r.Never {
		t.Errorf("without a token: %+v", r)
	}
	c := dialWS(t, addr, "/announce/"+token, 1, forwarded, "198.51.100.1", "Origin", "https://EXAMPLE.org")
	if r := c.announce(wire.WSRequest{Left: 1}); r.Failure != refuseUnknown.Reason || r.InfoHash != testHash {
		t.Errorf("a torrent that is not allowed: %+v", r)
	}
	s.Allow(testHash, tracker.Note{})
	if r := c.announce(wire.WSRequest{Left: 1}); r.Failure != "" || r.Incomplete != 1 {
		t.Errorf("an allowed torrent: %+v", r)
	}
	s.Disallow(testHash)
	if r := c.announce(wire.WSRequest{Left: 1}); r.Failure != refuseUnknown.Reason {
		t.Errorf("a torrent that is not allowed any more: %+v", r)
	}
	if _, n, _, _ := s.store.Scrape(s.now(), testHash); n != 0 {
		t.Errorf("%d leechers after the torrent was refused", n)
	}
	if r := c.announce(wire.WSRequest{Left: 1}); !strings.Contains(r.Failure, "too many requests") || r.RetryIn == 0 {
		t.Errorf("over the limit: %+v", r)
	}
	if _, err := tryWS(t, addr, "/announce/"+token, 1, forwarded, "198.51.100.2"); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("another connection of that network: %v", err)
	}
	if _, err := tryWS(t, addr, "/announce/"+token, 1, forwarded, "203.0.113.1"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a denied network: %v", err)
	}
	if _, err := tryWS(t, addr, "/announce/"+token, 1, "Origin", "https://example.com"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a page of another origin: %v", err)
	}
	dialWS(t, addr, "/announce/"+token, 1, "Origin", "http://"+addr)
}

// TestOnlyPagesOfKnownHostsUseNarrowedTracker checks which pages may use a tracker that serves one origin,
// among them those of strangers whose name resolves to this machine, and pages without an origin.
func TestOnlyPagesOfKnownHostsUseNarrowedTracker(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{Origins: []string{"https://example.org"}, Hosts: []string{"Files.example.net"}})
	for _, c := range []struct {
		host, origin string
		want         bool
	}{
		{"files.example.net:6969", "https://example.org", true},
		{"files.example.net:6969", "http://files.example.net:6969", true},
		{"FILES.example.net", "https://files.example.net", true},
		{"203.0.113.5:6969", "http://203.0.113.5:6969", true},
		{"[2001:db8::1]:6969", "http://[2001:db8::1]:6969", true},
		{"localhost:6969", "http://localhost:6969", true},
		{"files.example.net:6969", "", true}, // no browser
		{"evil.example:6969", "http://evil.example:6969", false},
		{"127.0.0.1.evil.example:6969", "http://127.0.0.1.evil.example:6969", false},
		{"203.0.113.5:6969", "http://203.0.113.5", false},
		{"203.0.113.5:6969", "http://evil.example", false},
		{"203.0.113.5:6969", "https://example.org.evil.example", false},
		{"203.0.113.5:6969", "https://evil.example/https://example.org", false},
		{"203.0.113.5:6969", "null", false}, // a frame without an origin, or a file
		{"", "://", false},
	} {
		r := httptest.NewRequest("GET", "/announce", nil)
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if got := s.sockets.allowsOrigin(r); got != c.want {
			t.Errorf("a page of %q at the host %q: %v, want %v", c.origin, c.host, got, c.want)
		}
	}
}

// TestFloodOfOffersDisturbsNobody sends many offers from one client. Another client gets a bounded
// number of them, and its announces are answered.
func TestFloodOfOffersDisturbsNobody(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newServer(t, Options{Now: func() time.Time { return now }})
	addr := serveHTTP(t, s)
	victim, attacker := dialWS(t, addr, "/announce", 1), dialWS(t, addr, "/announce", 2)
	victim.announce(wire.WSRequest{Left: 5})
	for i := range 100 {
		if r := attacker.announce(wire.WSRequest{Left: 5, Offers: offers(wire.MaxWSOffers, byte(i))}); r.Failure != "" {
			t.Fatalf("%+v", r)
		}
	}
	victim.write(wire.AppendWSRequest(nil, &wire.WSRequest{InfoHash: testHash, PeerID: victim.id, Left: 5}))
	n := 0
	for victim.read().Offer != "" {
		n++
	}
	if n == 0 || n > takeBurst {
		t.Errorf("the victim got %d offers", n)
	}
}

func TestMalformedWebSocketMessagesAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	addr := serveHTTP(t, s)
	c := dialWS(t, addr, "/announce", 1)
	for range maxMalformed {
		c.write([]byte(`{"action":"announce","info_hash":"short"}`))
		if r := c.read(); r.Failure != wire.ErrInfoHash.Error() || !r.Never {
			t.Fatalf("%+v", r)
		}
	}
	c.closed()
	c = dialWS(t, addr, "/announce", 1)
	c.write(make([]byte, wire.MaxWSMessage+1))
	c.closed()
	if n := s.Counts().Malformed; n != maxMalformed {
		t.Errorf("%d malformed messages were counted", n)
	}
}

func TestWebSocketClientsAreBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{MaxSockets: 1, MaxConns: 1})
	addr := serveHTTP(t, s)
	c := dialWS(t, addr, "/announce", 1)
	c.announce(wire.WSRequest{Left: 5})
	eventually(t, "the client frees its slot for HTTP", func() bool {
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + addr + "/page")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	// The one slot for HTTP may still be held by the connection before.
	refused := func() bool {
		_, err := tryWS(t, addr, "/announce", 2)
		if err == nil {
			t.Fatal("a connection is accepted")
		}
		return strings.Contains(err.Error(), "503")
	}
	eventually(t, "a second connection is refused", refused)
	s.sockets.close()
	c.closed()
	eventually(t, "a connection after the end is refused", refused)
	for _, origin := range []string{"example.org", "https://example.org/x", "://", ""} {
		if _, err := New(s.store, Options{Origins: []string{origin}}); err == nil {
			t.Errorf("origin %q is accepted", origin)
		}
	}
}

// TestWebSocketClientsMayPing checks that a client that pings long after the last message keeps its
// connection.
func TestWebSocketClientsMayPing(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	c := dialWS(t, serveHTTP(t, s), "/announce", 1)
	c.announce(wire.WSRequest{Left: 1})
	s.sockets.mu.Lock()
	for k := range s.sockets.all {
		k.raw.SetWriteDeadline(time.Unix(1, 0)) // that of the last message has passed
	}
	s.sockets.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go c.conn.Read(ctx) // a pong arrives while the client reads
	if err := c.conn.Ping(ctx); err != nil {
		t.Fatal(err)
	}
}
