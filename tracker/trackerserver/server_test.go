package trackerserver

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/wire"
)

var testHash = spate.InfoHash([]byte("a hash & 20 bytes %+"))

func newTable(t testing.TB, o swarm.Options) *swarm.Table {
	t.Helper()
	table, err := swarm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return table
}

func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(newTable(t, swarm.Options{}), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.sockets.close) // before the table
	return s
}

// peer returns the announce of leecher n.
func peer(n int) tracker.AnnounceRequest {
	id := spate.PeerID([]byte("-Sp0100-000000000000"))
	id[19], id[18] = byte(n), byte(n>>8)
	return tracker.AnnounceRequest{InfoHash: testHash, PeerID: id, Port: uint16(1000 + n), Left: 1, NumWant: 50, Key: uint32(n) + 1, Event: tracker.EventStarted}
}

// ask sends an HTTP request from the address from to h, and returns the body.
func ask(t testing.TB, h http.Handler, from, target string, headers ...string) []byte {
	t.Helper()
	r := httptest.NewRequest("GET", target, nil)
	r.RemoteAddr = from
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("%s: status %d", target, w.Code)
	}
	return w.Body.Bytes()
}

// announce announces over HTTP from the address from.
func announce(t testing.TB, s *Server, from string, req tracker.AnnounceRequest, headers ...string) (*tracker.AnnounceResponse, error) {
	t.Helper()
	return wire.ParseAnnounceAnswer(ask(t, s, from, "/announce?"+string(wire.AppendAnnounceQuery(nil, &req)), headers...))
}

// refusedFor fails the test unless err is a refusal with part in its reason, and with
// intervals.
func refusedFor(t *testing.T, err error, part string) {
	t.Helper()
	var failure *tracker.FailureError
	if !errors.As(err, &failure) || !strings.Contains(failure.Reason, part) {
		t.Errorf("error %v, want a refusal about %q", err, part)
	} else if failure.Interval <= 0 || failure.MinInterval <= 0 || failure.RetryIn == 0 && !failure.Never {
		t.Errorf("a refusal without intervals: %+v", failure)
	}
}

// TestPinnedOrigin checks that an origin is in the first answer although it has not
// announced.
func TestPinnedOrigin(t *testing.T) {
	s := newServer(t, Options{OnlyAllowed: true})
	origin := netip.MustParseAddrPort("192.0.2.50:6881")
	if err := errors.Join(s.Allow(testHash, tracker.Note{}), s.Store().Pin(testHash, origin)); err != nil {
		t.Fatal(err)
	}
	r, err := announce(t, s, "198.51.100.1:9", peer(1))
	if err != nil || len(r.Peers) != 1 || r.Peers[0] != origin || r.Complete != 1 {
		t.Errorf("%+v %v", r, err)
	}
}

// TestAria2WithMagnetLinkGetsSeeds checks that aria2 gets seeds although it reports 0 bytes
// left, as it does while it has only a magnet link. Other seeds get none.
func TestAria2WithMagnetLinkGetsSeeds(t *testing.T) {
	s := newServer(t, Options{})
	if err := s.Store().Pin(testHash, netip.MustParseAddrPort("192.0.2.50:6881")); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{"A2-1-36-0-abcdefghij": 1, "-lt2000-abcdefghijkl": 0} {
		req := peer(1)
		copy(req.PeerID[:], id)
		req.Left, req.Event = 0, tracker.EventStarted
		if r, err := announce(t, s, "198.51.100.1:9", req); err != nil || len(r.Peers) != want {
			t.Errorf("%s: %+v %v, want %d peers", id, r, err, want)
		}
	}
}

// TestOptionsAreChecked checks that New rejects invalid options.
func TestOptionsAreChecked(t *testing.T) {
	table := newTable(t, swarm.Options{})
	for _, o := range []Options{
		{RequireToken: true}, {ProxyProtocol: true}, {MaxConns: -1}, {Limit: RateLimit{Burst: -1}},
		{AllowedDir: t.TempDir() + "/none"}, {AllowList: t.TempDir() + "/none"}, {NATCheck: &NATCheck{Workers: -1}},
	} {
		if _, err := New(table, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := New(nil, Options{}); err == nil {
		t.Error("a nil store was accepted")
	}
}

// TestRun checks that Run returns when its context ends.
func TestRun(t *testing.T) {
	s := newServer(t, Options{NATCheck: &NATCheck{}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
