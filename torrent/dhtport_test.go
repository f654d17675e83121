package torrent

import (
	"net/netip"
	"testing"
	"time"

	"spate/peerwire"
	"spate/storage"
)

// TestPeersNameTheirDHTNodes checks that peers with the DHT bit exchange the ports of their DHT
// nodes, that only the first port of a peer counts, and that peers of private torrents and peers
// without the bit exchange none (BEP 5, BEP 27).
func TestPeersNameTheirDHTNodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ private, bit bool }{"public": {false, true}, "private": {true, true}, "no bit": {false, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, mi := noiseTorrent(t, 100<<10, 16<<10)
			if c.private {
				mi = privateTorrent(t, mi)
			}
			s := testSession(t, Options{})
			found := make(chan netip.AddrPort, 10)
			s.SetDHT(4444, func(a netip.AddrPort) { found <- a })
			added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
			reserved := extendedAndFast()
			if c.bit {
				reserved.SetDHT()
			}
			p := dialPeer(t, s.Addr(), mi.Hash(), reserved)
			if !p.hs.Reserved.DHT() {
				t.Error("the handshake of the session lacks the DHT bit")
			}
			p.send(peerwire.AppendPort(peerwire.AppendPort(peerwire.AppendPort(nil, 0), 5555), 6666))
			if c.private || !c.bit {
				if p.hears(peerwire.Port, 100*time.Millisecond) {
					t.Error("the session named its DHT node")
				}
			} else if m := p.await(peerwire.Port); m.Index != 4444 {
				t.Errorf("the session named port %d", m.Index)
			}
			p.alive(0) // the session has handled the messages before
			var got []uint16
			for len(found) > 0 {
				got = append(got, (<-found).Port())
			}
			if want := !c.private && c.bit; (len(got) == 1 && got[0] == 5555) != want || !want && len(got) > 0 {
				t.Errorf("the session heard of nodes at %v", got)
			}
		})
	}
}
