package trackerserver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/internal/netguard"
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

// TestHTTPAnnounceBothFamilies checks that peers of both address families get each other,
// and their own address, and that events change the counts.
func TestHTTPAnnounceBothFamilies(t *testing.T) {
	s := newServer(t, Options{})
	r, err := announce(t, s, "192.0.2.1:9", peer(1))
	if err != nil || len(r.Peers) != 0 || r.Incomplete != 1 || r.Complete != 0 || r.ExternalIP != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("%+v %v", r, err)
	}
	if r.Interval <= 0 || r.MinInterval <= 0 {
		t.Errorf("intervals %v %v", r.Interval, r.MinInterval)
	}
	r, err = announce(t, s, "[2001:db8::2]:9", peer(2))
	if err != nil || len(r.Peers) != 1 || r.Peers[0] != netip.MustParseAddrPort("192.0.2.1:1001") || r.ExternalIP != netip.MustParseAddr("2001:db8::2") {
		t.Errorf("%+v %v", r, err)
	}
	plain := peer(3)
	plain.NotCompact = true
	r, err = announce(t, s, "[::ffff:192.0.2.3]:9", plain)
	if err != nil || len(r.Peers) != 2 {
		t.Errorf("%+v %v", r, err)
	}
	stop := peer(2)
	stop.Event = tracker.EventStopped
	if r, err = announce(t, s, "[2001:db8::2]:9", stop); err != nil || r.Incomplete != 2 {
		t.Errorf("stopped: %+v %v", r, err)
	}
	done := peer(3)
	done.Left, done.Event = 0, tracker.EventCompleted
	if r, err = announce(t, s, "192.0.2.3:9", done); err != nil || r.Complete != 1 || r.Downloaded != 1 {
		t.Errorf("completed: %+v %v", r, err)
	}
	if c := s.Counts(); c.Announces[tracker.HTTP] != 5 || c.Announces6 != 2 || c.Completed != 1 || c.Events[tracker.EventStopped] != 1 {
		t.Errorf("%+v", c)
	}
}

// TestHTTPScrape checks scrapes of named torrents and of all torrents.
func TestHTTPScrape(t *testing.T) {
	s := newServer(t, Options{})
	seed := peer(1)
	seed.Left = 0
	announce(t, s, "192.0.2.1:9", seed)
	announce(t, s, "192.0.2.1:9", peer(2))
	q := string(wire.AppendScrapeQuery(nil, []spate.InfoHash{{0xff}, testHash, testHash, {1}}))
	got, err := wire.ParseScrapeAnswer(ask(t, s, "192.0.2.1:9", "/scrape?"+q))
	if err != nil || len(got) != 1 || got[0] != (tracker.ScrapeEntry{InfoHash: testHash, Complete: 1, Incomplete: 1}) {
		t.Errorf("%+v %v", got, err)
	}
	_, err = wire.ParseScrapeAnswer(ask(t, s, "192.0.2.1:9", "/scrape"))
	var failure *tracker.FailureError
	if !errors.As(err, &failure) {
		t.Errorf("full scrape: %v", err)
	}
	open := newServer(t, Options{Scrapes: ScrapesAll})
	announce(t, open, "192.0.2.1:9", seed)
	if got, err := wire.ParseScrapeAnswer(ask(t, open, "192.0.2.1:9", "/scrape")); err != nil || len(got) != 1 {
		t.Errorf("full scrape when allowed: %v %v", got, err)
	}
	closed := newServer(t, Options{Scrapes: ScrapesNone})
	announce(t, closed, "192.0.2.1:9", seed)
	for _, query := range []string{"", "?info_hash=" + url.QueryEscape(string(seed.InfoHash[:]))} {
		if _, err := wire.ParseScrapeAnswer(ask(t, closed, "192.0.2.1:9", "/scrape"+query)); !errors.As(err, &failure) {
			t.Errorf("scrape %q although scrapes are disabled: %v", query, err)
		}
	}
}

// TestHTTPGarbage checks that invalid requests get a failure, and other paths a status.
func TestHTTPGarbage(t *testing.T) {
	s := newServer(t, Options{})
	for _, q := range []string{"", "?", "?info_hash=a", "?" + strings.Repeat("a", 9000), "?info_hash=%zz"} {
		_, err := wire.ParseAnnounceAnswer(ask(t, s, "192.0.2.1:9", "/announce"+q))
		refusedFor(t, err, "")
	}
	h := s.Handler(nil)
	for target, want := range map[string]int{"/": 404, "/x": 404, "/announce/a/b": 404, "/announce/": 404, "/announce": 200, "/announce/x": 200, "/x/scrape": 200} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/announce", nil))
	if w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}

// TestClaimedAddress checks that a peer can claim another address only from loopback or a
// private network, and only one that can be a peer.
func TestClaimedAddress(t *testing.T) {
	claim := peer(1)
	claim.IP = netip.MustParseAddr("203.0.113.9")
	cases := map[string]string{
		"192.0.2.1:9": "192.0.2.1:1001", "127.0.0.1:9": "203.0.113.9:1001", "10.1.2.3:9": "203.0.113.9:1001",
		"[fd00::1]:9": "203.0.113.9:1001", "[2001:db8::1]:9": "[2001:db8::1]:1001",
	}
	for from, want := range cases {
		s := newServer(t, Options{})
		announce(t, s, from, claim)
		r, err := announce(t, s, "192.0.2.77:9", peer(2))
		if err != nil || len(r.Peers) != 1 || r.Peers[0].String() != want {
			t.Errorf("from %s: %+v %v, want %s", from, r, err, want)
		}
	}
	for _, ip := range []string{"0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "169.254.169.254", "168.63.129.16", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"} {
		s := newServer(t, Options{})
		claim.IP = netip.MustParseAddr(ip)
		announce(t, s, "127.0.0.1:9", claim)
		r, err := announce(t, s, "192.0.2.77:9", peer(2))
		if err != nil || len(r.Peers) != 1 || r.Peers[0].String() != "127.0.0.1:1001" {
			t.Errorf("claim %s: %+v %v", ip, r, err)
		}
	}
}

// TestProxies checks that X-Forwarded-For is used for trusted proxies only, and that the
// client of a proxy which does not report it cannot claim an address.
func TestProxies(t *testing.T) {
	claim := peer(1)
	claim.IP = netip.MustParseAddr("203.0.113.9")
	cases := []struct {
		from    string
		headers []string
		want    string
	}{
		{"192.0.2.1:9", []string{"X-Forwarded-For", "198.51.100.1"}, "192.0.2.1:1001"},
		{"10.0.0.1:9", []string{"X-Forwarded-For", "198.51.100.1"}, "198.51.100.1:1001"},
		{"10.0.0.1:9", []string{"X-Forwarded-For", "1.1.1.1, 198.51.100.1, 10.0.0.2"}, "198.51.100.1:1001"},
		{"10.0.0.1:9", []string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-For", "198.51.100.1:333,10.0.0.2"}, "198.51.100.1:1001"},
		{"10.0.0.1:9", []string{"X-Forwarded-For", "198.51.100.1, unknown"}, "10.0.0.1:1001"},
		{"10.0.0.1:9", []string{"X-Forwarded-For", ""}, "10.0.0.1:1001"},
		{"10.0.0.1:9", nil, "10.0.0.1:1001"},
		{"10.0.0.1:9", []string{"X-Forwarded-For", "192.168.5.5"}, "203.0.113.9:1001"},
		{"10.0.0.1:9", []string{"X-Forwarded-For", "2001:db8::7"}, "[2001:db8::7]:1001"},
		{"10.0.0.1:9", []string{"X-Forwarded-For", "[2001:db8::7]:99"}, "[2001:db8::7]:1001"},
		{"[::ffff:10.0.0.1]:9", []string{"X-Forwarded-For", "::ffff:198.51.100.1"}, "198.51.100.1:1001"},
	}
	for _, c := range cases {
		s := newServer(t, Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/30")}})
		announce(t, s, c.from, claim, c.headers...)
		r, err := announce(t, s, "192.0.2.77:9", peer(2))
		if err != nil || len(r.Peers) != 1 || r.Peers[0].String() != c.want {
			t.Errorf("%s %q: %+v %v, want %s", c.from, c.headers, r, err, c.want)
		}
	}
}

// TestClientAddr checks that the address of a client is the one that a trusted proxy
// reports, and that there is none if the proxy reports none.
func TestClientAddr(t *testing.T) {
	s := newServer(t, Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/30")}})
	for _, c := range []struct{ from, forwarded, want string }{
		{"192.0.2.1:9", "198.51.100.1", "192.0.2.1"}, {"10.0.0.1:9", "1.1.1.1, 198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:9", "", "invalid IP"}, {"10.0.0.1:9", "unknown", "invalid IP"}, {"10.0.0.1:9", "10.0.0.2", "invalid IP"},
		{"[2001:db8::1%eth0]:9", "", "2001:db8::1"}, {"pipe", "", "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.from
		r.Header.Set("X-Forwarded-For", c.forwarded)
		if got := s.ClientAddr(r).String(); got != c.want {
			t.Errorf("%s for %q: %s, want %s", c.from, c.forwarded, got, c.want)
		}
	}
}

// TestAdmission checks each reason for a refusal.
func TestAdmission(t *testing.T) {
	s := newServer(t, Options{
		OnlyAllowed: true, DenyNets: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
		Policies: []Policy{func(a *Announce) *Refusal {
			if a.Request.Port == 25 {
				return &Refusal{Reason: "not a peer's port", RetryIn: 90 * time.Second}
			}
			return nil
		}},
	})
	_, err := announce(t, s, "192.0.2.1:9", peer(1))
	refusedFor(t, err, "not served")
	if err := s.Allow(testHash, tracker.Note{Name: "x", Warning: "old release"}); err != nil {
		t.Fatal(err)
	}
	r, err := announce(t, s, "192.0.2.1:9", peer(1))
	if err != nil || r.Warning != "old release" {
		t.Errorf("%+v %v", r, err)
	}
	_, err = announce(t, s, "198.51.100.7:9", peer(1))
	refusedFor(t, err, "address")
	mail := peer(1)
	mail.Port = 25
	_, err = announce(t, s, "192.0.2.1:9", mail)
	refusedFor(t, err, "not a peer's port")
	var failure *tracker.FailureError
	if errors.As(err, &failure); failure.RetryIn != 2*time.Minute {
		t.Errorf("retry in %v", failure.RetryIn)
	}
	s.Allow(testHash, tracker.Note{Failure: "withdrawn"})
	_, err = announce(t, s, "192.0.2.1:9", peer(1))
	refusedFor(t, err, "withdrawn")
	s.Disallow(testHash)
	_, err = announce(t, s, "192.0.2.1:9", peer(1))
	refusedFor(t, err, "not served")
	if _, ok := s.Note(testHash); ok {
		t.Error("the torrent still has a note")
	}
	s.opts.AllowNets, s.opts.DenyNets = []netip.Prefix{netip.MustParsePrefix("::ffff:198.51.100.0/120")}, nil
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	_, err = announce(t, s, "192.0.2.1:9", peer(1))
	refusedFor(t, err, "address")
	_, err = announce(t, s, "198.51.100.7:9", peer(1))
	refusedFor(t, err, "not served")
	if c := s.Counts(); c.Refused != 7 {
		t.Errorf("%+v", c)
	}
}

// TestRandomHashesAreNotStored checks that refused announces take no memory.
func TestRandomHashesAreNotStored(t *testing.T) {
	s := newServer(t, Options{OnlyAllowed: true, Limit: RateLimit{PerSecond: -1}})
	s.Allow(testHash, tracker.Note{})
	req := peer(1)
	for n := range 10000 {
		req.InfoHash[0], req.InfoHash[1], req.InfoHash[2] = byte(n), byte(n>>8), 0xff
		announce(t, s, "192.0.2.1:9", req)
	}
	if got := s.Store().Totals(); got.Swarms != 1 || got.Peers() != 0 {
		t.Errorf("%+v", got)
	}
}

// TestRateLimit checks the burst and the rate of a network, and that loopback has no limit.
func TestRateLimit(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newServer(t, Options{Limit: RateLimit{PerSecond: 2, Burst: 4}, Now: func() time.Time { return now }})
	count := func(from string, tries int) (good int) {
		for range tries {
			if _, err := announce(t, s, from, peer(1)); err == nil {
				good++
			} else {
				refusedFor(t, err, "too many")
			}
		}
		return good
	}
	for from, want := range map[string]int{"192.0.2.1:9": 4, "192.0.2.200:9": 0, "192.0.3.1:9": 4, "[2001:db8:1::1]:9": 4, "127.0.0.1:9": 20} {
		if from == "192.0.2.200:9" {
			continue // in the network of the first one, so it is checked below
		}
		if got := count(from, 20); got != want {
			t.Errorf("%s: %d announces, want %d", from, got, want)
		}
	}
	if got := count("192.0.2.200:9", 3) + count("[2001:db8:1:ffff::9]:9", 3); got != 0 {
		t.Errorf("%d announces from networks that have used their burst", got)
	}
	now = now.Add(time.Second)
	if got := count("192.0.2.1:9", 20); got != 2 {
		t.Errorf("%d announces a second later, want 2", got)
	}
	if c := s.Counts(); c.Limited == 0 || c.Limited != c.Refused {
		t.Errorf("%+v", c)
	}
}

// TestRateLimitManyNetworks checks that a request of a new network is answered, however many
// networks are active.
func TestRateLimitManyNetworks(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := newLimiter(RateLimit{PerSecond: 1, Burst: 10}, now)
	for n := range 300_000 {
		a := netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n), 1})
		if l.allow(now, a) != 0 {
			t.Fatalf("network %d is refused its first request", n)
		}
	}
}

// TestTokens checks the forms of announce URLs with a token, and what is refused.
func TestTokens(t *testing.T) {
	path := t.TempDir() + "/users"
	tokens, err := OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokens.Issue("ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Issue("a b\n"); !errors.Is(err, ErrTokenName) {
		t.Errorf("bad name: %v", err)
	}
	if tokens, err = OpenTokens(path); err != nil { // like a new process
		t.Fatal(err)
	}
	var user string
	s := newServer(t, Options{Tokens: tokens, RequireToken: true, Observers: []func(*tracker.Observation){func(o *tracker.Observation) { user = o.User }}})
	req := peer(1)
	q := "?" + string(wire.AppendAnnounceQuery(nil, &req))
	for _, target := range []string{"/announce/" + token + q, "/" + token + "/announce" + q, "/announce" + q + "&token=" + token} {
		user = ""
		if _, err := wire.ParseAnnounceAnswer(ask(t, s, "192.0.2.1:9", target)); err != nil || user != "ann" {
			t.Errorf("%s: user %q, %v", target, user, err)
		}
	}
	for target, why := range map[string]string{
		"/announce" + q: "needs your personal", "/announce/" + strings.Repeat("0", 32) + q: "not valid", "/announce/x" + q: "not valid",
	} {
		_, err := wire.ParseAnnounceAnswer(ask(t, s, "192.0.2.1:9", target))
		refusedFor(t, err, why)
	}
	if n, err := tokens.Revoke("ann"); n != 1 || err != nil {
		t.Error(n, err)
	}
	_, err = wire.ParseAnnounceAnswer(ask(t, s, "192.0.2.1:9", "/announce/"+token+q))
	refusedFor(t, err, "revoked")
	if len(tokens.Users()) != 0 {
		t.Error(tokens.Users())
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

// TestAccessLog checks that each announce gives a record of one line, whatever the client
// sent.
func TestAccessLog(t *testing.T) {
	var b strings.Builder
	s := newServer(t, Options{AccessLog: slog.New(slog.NewJSONHandler(&b, nil)), OnlyAllowed: true})
	s.Allow(testHash, tracker.Note{Name: "x.iso"})
	evil := peer(1)
	copy(evil.PeerID[:], "-X\n\x1b[3-{\"a\":1}")
	announce(t, s, "192.0.2.1:9", evil)
	evil.InfoHash[0]++
	announce(t, s, "192.0.2.1:9", evil)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"name":"x.iso"`) || !strings.Contains(lines[0], `"event":"started"`) ||
		!strings.Contains(lines[1], `"refused":"this torrent is not served`) || strings.Contains(b.String(), "\x1b") {
		t.Errorf("%q", lines)
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

// TestNATCheckAvoidsMetadataServices checks that the tracker does not connect to the metadata
// service of a cloud.
func TestNATCheckAvoidsMetadataServices(t *testing.T) {
	for _, peer := range []string{"169.254.169.254:80", "168.63.129.16:80", "[fd00:ec2::254]:80"} {
		s := newServer(t, Options{NATCheck: &NATCheck{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			t.Errorf("%s was dialled", address)
			return nil, io.EOF
		}}})
		if err := s.nat.dial(t.Context(), netip.MustParseAddrPort(peer)); !errors.Is(err, netguard.ErrForbidden) {
			t.Errorf("%s: %v", peer, err)
		}
	}
}

// TestNATCheck checks that a peer which does not accept connections gets other peers, but
// is not given to them.
func TestNATCheck(t *testing.T) {
	now := time.Unix(1e9, 0)
	dialled := make(chan string, 10)
	s := newServer(t, Options{
		Now: func() time.Time { return now },
		NATCheck: &NATCheck{Workers: 1, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			defer func() { dialled <- address }()
			if address == "192.0.2.1:1001" {
				return nil, io.EOF
			}
			a, b := net.Pipe()
			b.Close()
			return a, nil
		}},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	announce(t, s, "192.0.2.1:9", peer(1))
	announce(t, s, "192.0.2.2:9", peer(2))
	r, _ := announce(t, s, "192.0.2.3:9", peer(3))
	if len(r.Peers) != 2 {
		t.Errorf("before the check: %v", r.Peers)
	}
	go func() { done <- s.Run(ctx) }()
	for range 3 {
		<-dialled
	}
	cancel()
	<-done
	r, err := announce(t, s, "192.0.2.3:9", peer(3))
	if err != nil || len(r.Peers) != 1 || r.Peers[0].String() != "192.0.2.2:1002" || r.Incomplete != 2 {
		t.Errorf("after the check: %+v %v", r, err)
	}
	if r, err = announce(t, s, "192.0.2.1:9", peer(1)); err != nil || len(r.Peers) != 2 {
		t.Errorf("the unreachable peer gets %+v %v", r, err)
	}
}
