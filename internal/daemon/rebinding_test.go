package daemon

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
)

// TestPagesOfStrangersReadNothing sends requests as browsers and other programs do, under names that
// strangers can make resolve to this machine, to the site and the statistics.
func TestPagesOfStrangersReadNothing(t *testing.T) {
	t.Parallel()
	base, _ := url.Parse("http://files.example.org:6969")
	env := testEnv()
	n, err := env.openTrackerNode(&TrackerNodeConfig{}, t.TempDir(), base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	h := n.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for _, c := range []struct {
		host, from string
		browser    bool
		refused    bool
	}{
		{"evil.example:6969", "192.168.1.7", true, true},
		{"evil.example", "127.0.0.1", true, true},
		{"evil.example:6969", "::1", true, true},
		{"192.168.1.5.evil.example:6969", "fd00::7", true, true},
		{"files.example.org.evil.example", "10.0.0.1", true, true},
		{"evil.example:6969", "203.0.113.9", true, false},  // a visitor of the internet: the owner's other name
		{"evil.example:6969", "192.168.1.7", false, false}, // a program that runs no pages
		{"files.example.org:6969", "192.168.1.7", true, false},
		{"FILES.example.org.:6969", "192.168.1.7", true, false},
		{"192.168.1.5:6969", "192.168.1.7", true, false},
		{"[fd00::5]:6969", "fd00::7", true, false},
		{"localhost:6969", "127.0.0.1", true, false},
		{"nas:6969", "192.168.1.7", true, false},
		{"nas.lan:6969", "192.168.1.7", true, false},
		{"nas.home.arpa", "192.168.1.7", true, false},
	} {
		for _, path := range []string{"/", "/d/a.iso", "/stats", "/stats.json", "/metrics", "/file?info_hash=x"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host, r.RemoteAddr = c.host, netip.AddrPortFrom(netip.MustParseAddr(c.from), 5000).String()
			if c.browser {
				r.Header.Set("Accept-Language", "en")
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Code == http.StatusMisdirectedRequest; got != c.refused {
				t.Errorf("%s at %s from %s (browser: %v): status %d", path, c.host, c.from, c.browser, w.Code)
			}
		}
		r := httptest.NewRequest("GET", "/announce?info_hash=%01%02%03%04%05%06%07%08%09%10%11%12%13%14%15%16%17%18%19%20&peer_id=-XX0001-123456789012&port=6881&left=1", nil)
		r.Host, r.RemoteAddr = c.host, netip.AddrPortFrom(netip.MustParseAddr(c.from), 5000).String()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("an announce at %s gets the status %d", c.host, w.Code)
		}
	}
}
