package site

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/internal/fairpool"
	"spate/publish"
)

// TestByTorrentClient checks which requests are those of a BitTorrent client for a part of a
// file. Browsers and download programs are none, and neither is a request for the whole file.
func TestByTorrentClient(t *testing.T) {
	for _, c := range []struct {
		agent, ranged string
		want          bool
	}{
		{"libtorrent/2.0.8.0", "bytes=0-1", true},
		{"qBittorrent/4.5.2", "bytes=0-1", true},
		{"Deluge/2.0.3 libtorrent/2.0.8.0", "bytes=0-1", true},
		{"Transmission/3.00", "bytes=0-1", true},
		{"aria2/1.36.0", "bytes=0-1", true},
		{"uTorrent/3550", "bytes=0-1", true},
		{"BTWebClient/3550", "bytes=0-1", true},
		{"WebTorrent/2.0.1 (https://webtorrent.io)", "bytes=0-1", true},
		{"spate/0.1.0", "bytes=0-1", true},
		{"libtorrent/2.0.8.0", "", false},
		{"aria2/1.36.0", "", false},
		{"curl/7.88.1", "bytes=0-1", false},
		{"Wget/1.21.3", "bytes=5-", false},
		{"Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0", "bytes=0-1", false},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "bytes=0-1", false},
		{"", "bytes=0-1", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/d/x", nil)
		r.Header.Set("User-Agent", c.agent)
		if c.ranged != "" {
			r.Header.Set("Range", c.ranged)
		}
		if got := new(Site).byTorrentClient(r) != ""; got != c.want {
			t.Errorf("%q with the range %q: by a BitTorrent client: %v, want %v", c.agent, c.ranged, got, c.want)
		}
	}
}

// TestSingleRange checks the ranges that BitTorrent clients ask for.
func TestSingleRange(t *testing.T) {
	for header, want := range map[string]string{
		"bytes=0-9": "0+10", "bytes=10-": "10+90", "bytes=90-1000": "90+10", "Bytes= 5-5": "5+1", "bytes=99-99": "99+1",
		"bytes=100-": "no", "bytes=-5": "no", "bytes=5-4": "no", "bytes=0-1,5-6": "no", "bytes=a-": "no", "bytes=": "no", "x=0-1": "no", "bytes=0-99999999999999999999": "no",
	} {
		off, n, ok := singleRange(header, 100)
		got := "no"
		if ok {
			got = fmt.Sprintf("%d+%d", off, n)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

// TestSwarmFirst checks which ranges a BitTorrent client gets over HTTP.
func TestSwarmFirst(t *testing.T) {
	const piece = 1 << 20
	all, none, half := []bool{true, true}, []bool{false, false}, []bool{true, false}
	type ask struct {
		after    time.Duration // since the first request
		from     string        // address of the client
		n        int64         // bytes of the range
		have     []bool
		progress int // pieces of the client; -1: it is not connected to the seed
		want     bool
	}
	const room = 10 << 20
	const a, b = "192.0.2.1", "192.0.2.2"
	const short, long = shortRange, shortRange + 1
	for name, asks := range map[string][]ask{
		"nobody has it":                      {{0, a, short, none, 0, true}},
		"nobody has a long range":            {{0, a, long, none, 0, false}},
		"the swarm has it":                   {{0, a, short, all, 0, false}, {time.Second, a, short, all, 1, false}},
		"the swarm has half of it":           {{0, a, short, half, 0, false}},
		"another client has just got it":     {{0, a, short, none, 0, true}, {time.Second, b, short, none, 0, false}, {sentFor, b, short, none, 1, true}},
		"it asks again for what it was sent": {{0, a, short, none, 0, true}, {time.Second, a, short, none, 0, true}},
		"not connected":                      {{0, a, long, none, -1, false}, {9 * time.Second, a, long, all, -1, false}, {10 * time.Second, a, long, all, -1, true}, {11 * time.Second, a, long, all, -1, true}},
		"not connected, and nobody has it":   {{0, a, short, none, -1, true}, {time.Second, b, short, none, -1, false}},
		"not connected at first":             {{0, a, long, all, -1, false}, {5 * time.Second, a, long, all, 0, false}, {12 * time.Second, a, long, all, 90, false}},
		"the connection ends":                {{0, a, long, all, 0, false}, {10 * time.Second, a, long, all, -1, true}},
		"the last pieces":                    {{0, a, long, all, 989, false}, {time.Second, a, long, all, 990, true}},
		"no piece for a while": {
			{0, a, long, all, 5, false}, {10 * time.Second, a, long, all, 60, false}, {29 * time.Second, a, long, all, 60, false},
			{30 * time.Second, a, long, all, 60, true}, {31 * time.Second, a, long, all, 60, false}, {50 * time.Second, a, long, all, 60, true},
		},
		"a slow swarm": {
			{0, a, long, all, 5, false}, {14 * time.Second, a, long, all, 6, false}, {33 * time.Second, a, long, all, 6, true}, {34 * time.Second, a, long, all, 6, true},
		},
		"a fast swarm": {
			{0, a, long, all, 5, false}, {15 * time.Second, a, long, all, 100, false}, {60 * time.Second, a, long, all, 400, false},
		},
		"a swarm that has become slow": {
			{0, a, long, all, 0, false}, {4 * time.Minute, a, long, all, 500, false}, {5 * time.Minute, a, long, all, 501, true},
		},
		"a swarm that has become fast": {
			{0, a, long, all, 0, false}, {time.Minute, a, long, all, 1, true}, {75 * time.Second, a, long, all, 100, false},
		},
		"half of the room of the uplink": {
			{0, a, long, all, 0, false}, {20 * time.Second, a, long, all, 99, false},
		},
		"less than half of the room of the uplink": {
			{0, a, long, all, 0, false}, {14 * time.Second, a, long, all, 60, false}, {20 * time.Second, a, long, all, 97, true}, {21 * time.Second, a, long, all, 98, true},
		},
	} {
		var s swarmFirst
		began := time.Unix(1_800_000_000, 0)
		for i, q := range asks {
			sp := Spread{Have: q.have, Client: q.progress >= 0, Progress: q.progress, Pieces: 1000, PieceLength: piece}
			if strings.Contains(name, "room of the uplink") {
				sp.Room = room
			}
			key := clientKey{spate.InfoHash{1}, netip.MustParseAddr(q.from)}
			if got := s.serve(key, q.n, sp, began.Add(q.after)); got != q.want {
				t.Errorf("%s: request %d, after %v, is served: %v, want %v", name, i, q.after, got, q.want)
			}
		}
	}
}

// TestSwarmFirstIsBounded checks that requests from any number of addresses take bounded memory.
func TestSwarmFirstIsBounded(t *testing.T) {
	var s swarmFirst
	now := time.Unix(1_800_000_000, 0)
	for i := range 3 * maxClients {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		s.serve(clientKey{spate.InfoHash{}, addr}, 1, Spread{First: i, Have: []bool{i%2 == 0}, Client: true, Pieces: 9}, now)
	}
	if len(s.clients) > maxClients || len(s.sent) > maxClients {
		t.Errorf("%d clients and %d pieces are remembered, want at most %d", len(s.clients), len(s.sent), maxClients)
	}
}

// TestRefusedRange checks the answers to BitTorrent clients that the swarm can serve, and that
// requests of browsers and for the whole file are served.
func TestRefusedRange(t *testing.T) {
	f := newFixture(t, Options{hold: time.Millisecond, Spread: func(*publish.Release, int, int64, int64, netip.Addr) (Spread, bool) {
		return Spread{Have: []bool{true}, Client: true, Pieces: 9, PieceLength: 1 << 14}, true
	}})
	path, data := random(t, 1000, f.dir, "data.bin")
	sample(t, f.catalog, path, nil)
	for _, c := range []struct {
		agent, ranged string
		status        int
		body          []byte // nil: any
		after         string // Retry-After
	}{
		{"libtorrent/2.0.8.0", "bytes=5-99", http.StatusPartialContent, data[5:6], ""},
		{"qBittorrent/4.5.2", "bytes=5-99", http.StatusPartialContent, data[5:6], ""},
		{"Deluge/2.0.3 libtorrent/2.0.8.0", "bytes=999-", http.StatusPartialContent, data[999:], ""},
		{"Transmission/3.00", "bytes=5-99", http.StatusPartialContent, data[5:6], ""},
		{"aria2/1.36.0", "bytes=5-99", http.StatusTemporaryRedirect, nil, ""},
		{"WebTorrent/2.8.5 (https://webtorrent.io)", "bytes=5-99", http.StatusServiceUnavailable, nil, "10"},
		{"uTorrent/3550", "bytes=5-99", http.StatusServiceUnavailable, nil, "10"},
		{"libtorrent/2.0.8.0", "", http.StatusOK, data, ""},
		{"curl/7.88.1", "bytes=5-99", http.StatusPartialContent, data[5:100], ""},
	} {
		header := []string{"User-Agent", c.agent}
		if c.ranged != "" {
			header = append(header, "Range", c.ranged)
		}
		resp := f.get("GET", "/d/data.bin", header...)
		if resp.StatusCode != c.status {
			t.Errorf("%s with the range %q: status %d, want %d", c.agent, c.ranged, resp.StatusCode, c.status)
		}
		if after := resp.Header.Get("Retry-After"); after != c.after {
			t.Errorf("%s with the range %q: Retry-After is %q, want %q", c.agent, c.ranged, after, c.after)
		}
		if got := body(t, resp); c.body != nil && got != string(c.body) {
			t.Errorf("%s with the range %q: %d bytes, want %d", c.agent, c.ranged, len(got), len(c.body))
		}
	}
}

// TestNetworksShareThePlacesToWait checks that all places may go to clients of one address while nobody
// else wants one, and that a client of another network then gets a place.
func TestNetworksShareThePlacesToWait(t *testing.T) {
	many, other := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.7")
	f := newFixture(t, Options{hold: time.Millisecond, ClientAddr: func(*http.Request) netip.Addr { return other }})
	lost := 0
	for i := range maxHeld {
		place := f.held.enter(t.Context(), 0, fairpool.NetworkOf(many), func() { lost++ })
		if place == nil {
			t.Fatalf("only %d clients behind one address may wait", i)
		}
		defer place.leave()
	}
	yes := func() bool { return true }
	served, waited := f.hold(httptest.NewRequest(http.MethodGet, "/d/x", nil), yes, yes)
	if !waited || lost != 1 {
		t.Errorf("the client of another network waits: %t, served: %t; %d of the others lost their places, want 1", waited, served, lost)
	}
}

// TestAgentOfConnection checks that the site knows a client that sends its User-Agent only with
// the first request of a connection, and not another client behind the same proxy.
func TestAgentOfConnection(t *testing.T) {
	var s Site
	ctx := ConnContext(t.Context())
	for i, c := range []struct{ from, agent, want string }{
		{"192.0.2.1", "", ""}, {"192.0.2.1", "libtorrent/2.0.8.0", "libtorrent/2.0.8.0"}, {"192.0.2.1", "", "libtorrent/2.0.8.0"},
		{"192.0.2.2", "", ""}, {"192.0.2.2", "curl/7.88.1", ""}, {"192.0.2.1", "", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/d/x", nil).WithContext(ctx)
		r.RemoteAddr = c.from + ":1"
		r.Header.Set("Range", "bytes=0-1")
		if c.agent != "" {
			r.Header.Set("User-Agent", c.agent)
		}
		if got := s.byTorrentClient(r); got != c.want {
			t.Errorf("request %d: by the client %q, want %q", i, got, c.want)
		}
	}
}

// TestBusyLibtorrent checks that libtorrent, which never uses a URL again after an error, gets
// data when no slot is free.
func TestBusyLibtorrent(t *testing.T) {
	f := newFixture(t, Options{MaxDownloads: 1, Wait: -1})
	path, data := random(t, 1000, f.dir, "data.bin")
	sample(t, f.catalog, path, nil)
	defer f.downloads.enter(t.Context(), 0, 0, nil).leave()
	for agent, want := range map[string]int{"libtorrent/2.0.8.0": http.StatusPartialContent, "curl/7.88.1": http.StatusServiceUnavailable} {
		resp := f.get("GET", "/d/data.bin", "User-Agent", agent, "Range", "bytes=7-99")
		got := body(t, resp)
		if resp.StatusCode != want || want == http.StatusPartialContent && got != string(data[7:8]) {
			t.Errorf("%s: status %d and %d bytes, want %d", agent, resp.StatusCode, len(got), want)
		}
	}
}

// TestSendingIsTold checks that the site tells what it sends of a range to a BitTorrent client, and
// nothing of other downloads.
func TestSendingIsTold(t *testing.T) {
	var told []int64
	f := newFixture(t, Options{Sending: func(_ *publish.Release, i int, off int64) func(int64) {
		told = append(told, int64(i), off)
		return func(sent int64) { told = append(told, sent) }
	}})
	path, _ := random(t, leastStep+1000, f.dir, "data.bin")
	sample(t, f.catalog, path, nil)
	f.get("GET", "/d/data.bin", "User-Agent", "curl/7.88.1", "Range", "bytes=7-99")
	f.get("GET", "/d/data.bin", "User-Agent", "libtorrent/2.0.8.0")
	f.get("GET", "/d/data.bin", "User-Agent", "libtorrent/2.0.8.0", "Range", "bytes=7-", "If-Range", `"other"`)
	if want := []int64{0, 7}; !slices.Equal(told, want) {
		t.Errorf("other downloads: told %v, want %v", told, want)
	}
	told = nil
	f.get("GET", "/d/data.bin", "User-Agent", "libtorrent/2.0.8.0", "Range", "bytes=7-")
	if want := []int64{0, 7, leastStep, leastStep + 993}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
