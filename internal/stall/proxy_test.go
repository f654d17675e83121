package stall_test

import (
	"errors"
	"strings"
	"testing"

	"spate/internal/proxy"
	"spate/internal/stall"
	"spate/torrent"
)

// TestProxyIsTheReason checks when the proxy that carries all connections is named as the reason.
func TestProxyIsTheReason(t *testing.T) {
	t.Parallel()
	down := &proxy.Error{Proxy: "socks5://p:1080", Kind: proxy.Down, Err: errors.New("refused")}
	target := &proxy.Error{Proxy: "socks5://p:1080", Kind: proxy.Target, To: "h:1", Err: errors.New("no")}
	tracked := func(err error) []torrent.TrackerStats { return []torrent.TrackerStats{{Err: err}} }
	on, web := stall.DHT{Proxy: "socks5://p:1080"}, stall.DHT{Proxy: "http://p:8080", OnlyWeb: true}
	for _, c := range []struct {
		name  string
		facts stall.Facts
		cause stall.Cause
		says  string
	}{
		{"a tracker", stall.Facts{Named: 1, Trackers: tracked(down), DHT: on}, stall.Proxy, "socks5://p:1080 does not answer: refused"},
		{"a web seed", stall.Facts{WebNamed: 1, WebSeeds: []torrent.WebSeedStats{{Err: down}}, DHT: on}, stall.Proxy, "does not answer"},
		{"all peers", stall.Facts{Named: 1, Stall: torrent.Stall{Candidates: torrent.CandidateStats{Known: 2, NoProxy: 2}}, DHT: on}, stall.Proxy, "socks5://p:1080 does not answer"},
		{"some peers", stall.Facts{Named: 1, Stall: torrent.Stall{Candidates: torrent.CandidateStats{Known: 2, NoProxy: 1, Refused: 1}}, DHT: on}, stall.Unreachable, "1 not tried, because the proxy failed"},
		{"the tracker behind the proxy", stall.Facts{Named: 1, Trackers: tracked(target), DHT: on}, stall.NoSource, "cannot connect to h:1"},
		{"no proxy for all", stall.Facts{Named: 1, Trackers: tracked(down)}, stall.NoSource, "does not answer"},
		{"a connected peer", stall.Facts{Named: 1, Trackers: tracked(down), Stall: torrent.Stall{Connected: 1}, DHT: on}, stall.Unavailable, "1 peer"},
		{"only the web", stall.Facts{Named: 1, DHT: web}, stall.Proxy, "no way to peers"},
		{"only the web, with a web seed", stall.Facts{Named: 1, WebNamed: 1, DHT: web}, stall.NoSource, "no tracker has answered"},
	} {
		if r := stall.Of(&c.facts); r.Cause != c.cause || !strings.Contains(r.Text, c.says) {
			t.Errorf("%s: %+v, want %s with %q", c.name, r, c.cause, c.says)
		}
	}
	if r := stall.OfSearch(&stall.Search{Named: 1, DHT: web}); r.Cause != stall.Proxy {
		t.Errorf("a search for metadata through an HTTP proxy: %+v", r)
	}
}
