package trackerserver

import (
	"errors"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

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
	if r, err := announce(t, s, "[2001:db8::2]:9", stop); err != nil || r.Incomplete != 2 {
		t.Errorf("stopped: %+v %v", r, err)
	}
	done := peer(3)
	done.Left, done.Event = 0, tracker.EventCompleted
	if r, err := announce(t, s, "192.0.2.3:9", done); err != nil || r.Complete != 1 || r.Downloaded != 1 {
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

// TestHTTPInvalidRequests checks that invalid requests get a failure, and other paths a
// status.
func TestHTTPInvalidRequests(t *testing.T) {
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

// TestPaths checks the forms of announce URLs, with and without a prefix.
func TestPaths(t *testing.T) {
	t.Parallel()
	type result struct {
		route route
		token string
	}
	for prefix, paths := range map[string]map[string]result{
		"": {
			"/announce": {routeAnnounce, ""}, "/scrape": {routeScrape, ""}, "/announce/tok": {routeAnnounce, "tok"},
			"/tok/announce": {routeAnnounce, "tok"}, "/tok/scrape": {routeScrape, "tok"}, "": {}, "/": {}, "/announce/": {}, "/announced": {},
			"/announce/a/b": {}, "announce": {}, "/index.html": {}, "/announce%2Ftok": {}, "/tok%2Fannounce": {}, "/announce/a%2Fb": {},
			"/%61nnounce": {routeAnnounce, ""}, "/announce/t%6Fk": {routeAnnounce, "tok"}, "/announce/%zz": {},
		},
		"/bt": {
			"/bt/announce": {routeAnnounce, ""}, "/announce": {routeAnnounce, ""}, "/bt/tok/announce": {routeAnnounce, "tok"},
			"/bt/announce/tok": {routeAnnounce, "tok"}, "/btx/announce": {routeAnnounce, "btx"}, "/bt": {}, "/bt/": {},
			"/%62t/announce": {routeAnnounce, ""}, "/bt%2Fannounce": {}, "/bt/announce%2Ftok": {},
		},
		"/my%20files/(x)/": {
			"/my%20files/%28x%29/announce": {routeAnnounce, ""}, "/my%20files/(x)/announce/tok": {routeAnnounce, "tok"}, "/my+files/(x)/announce": {},
			"/my%20files%2F(x)/announce": {}, "/announce": {routeAnnounce, ""},
		},
		"/announce": {"/announce/announce": {routeAnnounce, ""}, "/announce": {routeAnnounce, ""}, "/announce/announce/tok": {routeAnnounce, "tok"}},
	} {
		s := newServer(t, Options{Prefix: prefix})
		for path, want := range paths {
			r, token := s.routeOf(path)
			if got := (result{r, string(token)}); got != want {
				t.Errorf("%q with prefix %q: %+v, want %+v", path, prefix, got, want)
			}
			// The listener answers a path with percent escapes only if they are in the prefix.
			plain := !strings.Contains(strings.TrimPrefix(path, "/my%20files/%28x%29"), "%") && !strings.Contains(path, "(x)")
			if r, token := s.plainRouteOf([]byte(path)); r != routeNone || plain {
				if got := (result{r, string(token)}); got != want {
					t.Errorf("%q with prefix %q: the listener has %+v, want %+v", path, prefix, got, want)
				}
			}
		}
	}
}
