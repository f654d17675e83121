package torrent

import (
	"net"
	"net/netip"
	"testing"

	"spate"
	"spate/peerwire"
	"spate/storage"
)

// TestTwins has a peer be dialled and dial at once, as two do that hear of each
// other at the same time. Whichever connection the other side ends, one stays.
func TestDuplicateConnections(t *testing.T) {
	t.Parallel()
	foreign := spate.PeerID{'-', 'L', 'T', '2', '0', '8', '0', '-', 1}
	lesser, greater := spate.NewPeerID(), spate.NewPeerID()
	for i := 8; i < len(lesser); i++ {
		lesser[i], greater[i] = 0, 0xff
	}
	for name, c := range map[string]struct {
		id   spate.PeerID
		ends func(first, second *foe) // by the other side
		left func(first, second *foe) (stays, goes *foe)
	}{
		"a foreign one ends the first": {foreign, func(first, _ *foe) { first.c.Close() },
			func(_, second *foe) (*foe, *foe) { return second, nil }},
		"a foreign one ends the second": {foreign, func(_, second *foe) { second.c.Close() },
			func(first, _ *foe) (*foe, *foe) { return first, nil }},
		"a foreign one keeps both": {foreign, func(_, _ *foe) {},
			func(first, second *foe) (*foe, *foe) { return first, second }},
		"spate of a greater id": {greater, func(_, _ *foe) {},
			func(first, second *foe) (*foe, *foe) { return second, first }},
		"spate of a lesser id": {lesser, func(_, second *foe) { second.c.Close() },
			func(first, _ *foe) (*foe, *foe) { return first, nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			data, mi := noiseTorrent(t, 10<<14, 1<<14)
			s := testSession(t, Options{})
			tor, err := s.Add(mi, AddOptions{
				Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{l.Addr().(*net.TCPAddr).AddrPort()},
			})
			if err != nil {
				t.Fatal(err)
			}
			hs := peerwire.Handshake{Reserved: everything(), InfoHash: mi.Hash(), PeerID: c.id}
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			first := greetAs(t, nc, hs)
			first.await(peerwire.Extended)
			nc, err = net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			second := greetAs(t, nc, hs)
			c.ends(first, second)
			stays, goes := c.left(first, second)
			if goes != nil {
				goes.dropped()
			}
			stays.send(peerwire.AppendSimple(nil, peerwire.HaveAll))
			stays.await(peerwire.Interested)
			until(t, "one connection is left", func() bool { return tor.Stats().Peers == 1 })
		})
	}
}
