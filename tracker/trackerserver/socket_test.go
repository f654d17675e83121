package trackerserver

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"spate/tracker/wire"
)

// onlySocket returns the only client of a server.
func onlySocket(t *testing.T, s *Server) (only *socket) {
	t.Helper()
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	if n := len(s.sockets.all); n != 1 {
		t.Fatalf("%d clients", n)
	}
	for k := range s.sockets.all {
		only = k
	}
	return only
}

// largeOffer returns a message with an offer.
func largeOffer() []byte {
	return signal(&wire.WSReply{InfoHash: testHash, Offer: strings.Repeat("x", 16<<10)})
}

// TestSlowWebSocketClientIsDropped checks that a client that does not read the replies to its own
// messages is disconnected when too much waits for it.
func TestSlowWebSocketClientIsDropped(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	slow := dialWS(t, serveHTTP(t, s), "/announce", 1)
	slow.announce(wire.WSRequest{Left: 5})
	k, message := onlySocket(t, s), largeOffer()
	eventually(t, "the client leaves", func() bool {
		for k.send(message, maxQueued) { // until the buffers of the connection are full too
		}
		k.reply(message)
		return s.Counts().Sockets == 0
	})
	slow.closed()
}

// TestOffersOfOthersDoNotDisconnectASlowClient checks that offers for which there is no room are
// dropped, and that the client still gets the reply to its announce.
func TestOffersOfOthersDoNotDisconnectASlowClient(t *testing.T) {
	t.Parallel()
	var seconds atomic.Int64
	start := time.Now()
	s := newServer(t, Options{Now: func() time.Time { return start.Add(time.Duration(seconds.Load()) * time.Second) }})
	addr := serveHTTP(t, s)
	slow := dialWS(t, addr, "/announce", 1)
	slow.announce(wire.WSRequest{Left: 5})
	k, message := onlySocket(t, s), largeOffer()
	other := dialWS(t, addr, "/announce", 2)
	eventually(t, "an offer is dropped", func() bool {
		for k.send(message, maxQueuedOffers) { // until the buffers of the connection are full too
		}
		seconds.Add(1) // so that no limit of a rate applies
		before := s.Counts().Offers
		id := wire.OfferID{byte(seconds.Load() >> 8), byte(seconds.Load())}
		other.announce(wire.WSRequest{Left: 5, Offers: []wire.WSOffer{{ID: id, SDP: strings.Repeat("y", 16<<10)}}})
		other.announce(wire.WSRequest{Left: 5}) // the tracker handles it after the offer
		return s.Counts().Offers == before
	})
	slow.write(wire.AppendWSRequest(nil, &wire.WSRequest{InfoHash: testHash, PeerID: slow.id, Left: 5}))
	for {
		if r := slow.read(); r.Offer == "" {
			if r.Incomplete != 2 {
				t.Errorf("the reply: %+v", r)
			}
			break
		}
	}
	if c := s.Counts(); c.Sockets != 2 {
		t.Errorf("%d clients are connected", c.Sockets)
	}
}

// countedConn counts the writes to a connection.
type countedConn struct {
	net.Conn
	writes atomic.Int32
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// TestEndOfATLSClientWritesNothing checks that the tracker, which disconnects clients while it
// holds locks, does not write to the connection, because a client that does not read would delay
// the tracker.
func TestEndOfATLSClientWritesNothing(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	below := &countedConn{Conn: ours}
	c := tls.Server(below, &tls.Config{Certificates: server.TLS.Certificates, MaxVersion: tls.VersionTLS12})
	done := make(chan error, 1)
	go func() { done <- tls.Client(theirs, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	before := below.writes.Load()
	(&socket{raw: c}).end()
	if n := below.writes.Load() - before; n > 0 {
		t.Errorf("%d writes", n)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
}

// TestAnnounceWaitsForTheLimitOfItsNetwork checks that an announce that is only a little too early is
// answered late instead of refused.
func TestAnnounceWaitsForTheLimitOfItsNetwork(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Limit: RateLimit{PerSecond: 10, Burst: 1}})
	c := dialWS(t, serveHTTP(t, s), "/announce", 1, "X-Forwarded-For", "192.0.2.1")
	for range 3 {
		if r := c.announce(wire.WSRequest{Left: 5}); r.Failure != "" {
			t.Fatalf("%+v", r)
		}
	}
}
