package trackerserver

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// rangeCall returns an announce from an address of a seed that serves ranges.
func rangeCall(now time.Time, ih spate.InfoHash, from string) *call {
	ap := netip.MustParseAddrPort(from)
	return &call{now: now, from: ap.Addr(), peer: ap, req: tracker.AnnounceRequest{InfoHash: ih, Ranges: true}}
}

// TestPageLearnsPeersThatServeRanges checks what a page is told that asks for peers with ranges.
func TestPageLearnsPeersThatServeRanges(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	addr := serveHTTP(t, s)
	say := func(port uint16, left int64, event tracker.Event, ranges bool) {
		t.Helper()
		req := tracker.AnnounceRequest{InfoHash: testHash, PeerID: peer(int(port)).PeerID, Port: port, Left: left, Event: event, Ranges: ranges}
		if _, err := announce(t, s, "127.0.0.1:9", req); err != nil {
			t.Fatal(err)
		}
	}
	say(1001, 0, tracker.EventStarted, true)
	say(1002, 0, tracker.EventStarted, false)
	say(1003, 5, tracker.EventStarted, true) // not a seed
	page := dialWS(t, addr, "/announce", 1)
	if r := page.announce(wire.WSRequest{Left: 9, Ranges: true}); !slices.Equal(r.Ranges, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1001")}) {
		t.Errorf("a page is told %v", r.Ranges)
	}
	if r := page.announce(wire.WSRequest{Left: 9}); len(r.Ranges) > 0 {
		t.Errorf("a page that does not ask is told %v", r.Ranges)
	}
	if r := page.announce(wire.WSRequest{Left: 0, Ranges: true}); len(r.Ranges) > 0 {
		t.Errorf("a page that has all is told %v", r.Ranges)
	}
	say(1001, 0, tracker.EventStopped, false)
	if r := page.announce(wire.WSRequest{Left: 9, Ranges: true}); len(r.Ranges) > 0 {
		t.Errorf("a page is told of a peer that stopped: %v", r.Ranges)
	}
}

// TestRangePeersAreBounded checks that a network, a swarm and all swarms together keep few peers, and
// that no page is told the address of somebody who did not announce, or an old one.
func TestRangePeersAreBounded(t *testing.T) {
	t.Parallel()
	var p rangePeers
	now, page := time.Unix(1_800_000_000, 0), netip.MustParseAddr("203.0.113.1")
	told := func(ih spate.InfoHash, page netip.Addr, at time.Time) []netip.AddrPort {
		return p.appendTo(nil, at, ih, page)
	}
	for i := range 100 {
		p.note(rangeCall(now, spate.InfoHash{1}, netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 8, 8, byte(i)}), 6881).String()), time.Hour)
	}
	if got := told(spate.InfoHash{1}, page, now); len(got) != maxRangeNeighbor {
		t.Errorf("%d peers of one network", len(got))
	}
	for i := range 100 {
		p.note(rangeCall(now, spate.InfoHash{1}, netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 9, byte(i), 1}), 6881).String()), time.Hour)
	}
	if n := len(p.swarms[spate.InfoHash{1}]); n != maxRangePeers {
		t.Errorf("%d peers of one swarm", n)
	}
	if got := told(spate.InfoHash{1}, page, now); len(got) != toldRangePeers {
		t.Errorf("a page is told %d peers", len(got))
	}
	if got := told(spate.InfoHash{1}, page, now.Add(61*time.Minute)); len(got) > 0 {
		t.Errorf("a page is told peers that did not announce again: %v", got)
	}

	other := rangeCall(now, spate.InfoHash{2}, "8.8.8.8:6881")
	other.peer = netip.MustParseAddrPort("9.9.9.9:80")
	p.note(other, time.Hour)
	if got := told(spate.InfoHash{2}, page, now); len(got) > 0 {
		t.Errorf("a peer named another address: %v", got)
	}
	p.note(rangeCall(now, spate.InfoHash{2}, "192.168.0.7:6881"), time.Hour)
	if got := told(spate.InfoHash{2}, page, now); len(got) > 0 {
		t.Errorf("a page on the internet is told a private address: %v", got)
	}
	if got := told(spate.InfoHash{2}, netip.MustParseAddr("10.0.0.1"), now); len(got) != 1 {
		t.Errorf("a page in a private network is told %v", got)
	}
	for i := range 2 * maxRangeSwarms {
		p.note(rangeCall(now, spate.InfoHash{3, byte(i), byte(i >> 8)}, "8.8.8.8:6881"), time.Hour)
	}
	if len(p.swarms) > maxRangeSwarms {
		t.Errorf("%d swarms", len(p.swarms))
	}
}
