package torrent

import (
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"spate"
	"spate/peerwire"
)

// TestPeerKey checks that keys are equal exactly if they identify the same peer, and the
// results of their methods.
func TestPeerKey(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddrPort("192.0.2.1:6881")
	const url = "http://example.org/data/"
	for _, c := range []struct {
		key     PeerKey
		text    string
		addr    netip.AddrPort
		webSeed string
		valid   bool
	}{
		{peerKeyOf(addr), "192.0.2.1:6881", addr, "", true},
		{webSeedKey(url), url, netip.AddrPort{}, url, true},
		{PeerKey{id: 0xabc}, "id 0000000000000abc", netip.AddrPort{}, "", true},
		{PeerKey{}, "unknown", netip.AddrPort{}, "", false},
	} {
		if c.key.String() != c.text || c.key.Addr() != c.addr || c.key.WebSeed() != c.webSeed || c.key.IsValid() != c.valid {
			t.Errorf("%v: address %v, web seed %q, valid %v, want %+v", c.key, c.key.Addr(), c.key.WebSeed(), c.key.IsValid(), c)
		}
		if b, err := json.Marshal(c.key); err != nil || string(b) != `"`+c.text+`"` {
			t.Errorf("JSON %s, %v", b, err)
		}
	}
	again := netip.MustParseAddrPort(addr.String())
	if peerKeyOf(addr) != peerKeyOf(again) || webSeedKey(url) != webSeedKey(strings.Clone(url)) {
		t.Error("the keys of one peer differ")
	}
	if a, b := peerKeyOf(netip.AddrPort{}), peerKeyOf(netip.AddrPort{}); a == b || !a.IsValid() || strings.Contains(a.String(), "invalid") {
		t.Errorf("the keys of two peers without an address are %v and %v", a, b)
	}
}

// TestPeersWithoutAddress checks that peers without an address, such as browsers, do not
// count as duplicates of each other, and that a ban of one peer does not ban the others.
func TestPeersWithoutAddress(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 100<<10, 16<<10)
	s := testSession(t, Options{NoListen: true})
	tor := addTo(t, s, data, mi, AddOptions{})
	until(t, "it runs", tor.dormancy.running.Load)
	connect := func(id byte) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		g := s.beginHandshake(remoteAddr(ours), ours.Close)
		if !s.spawn(func() { s.handleIncoming(ours, g) }) {
			t.Fatal("the session is closed")
		}
		hs := peerwire.Handshake{InfoHash: mi.Hash(), PeerID: spate.PeerID{0: 'x', 19: id}}
		if _, err := theirs.Write(hs.Append(nil)); err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, theirs)
	}
	connected := func(n int) func() bool { return func() bool { return len(tor.PeerStats()) == n } }
	connect(1)
	connect(2)
	until(t, "both are connected", connected(2))
	all := tor.PeerStats()
	if a, b := all[0].Key, all[1].Key; a == b || a.Addr().IsValid() || !strings.HasPrefix(a.String(), "id ") {
		t.Errorf("keys %v and %v", a, b)
	}
	tor.mu.Lock()
	tor.banLocked(all[0].Key, 0)
	tor.mu.Unlock()
	until(t, "one is gone", connected(1))
	if left := tor.PeerStats()[0].Key; left != all[1].Key {
		t.Errorf("%v is left, want %v", left, all[1].Key)
	}
	if banned := tor.Banned(); len(banned) != 1 || banned[0] != all[0].Key {
		t.Errorf("banned %v, want %v", banned, all[0].Key)
	}
	connect(3)
	until(t, "another is connected", connected(2))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.uselessAddrs) != 0 {
		t.Errorf("noted as useless %v", s.uselessAddrs)
	}
}
