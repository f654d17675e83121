package torrent

import (
	"net"
	"net/netip"
	"testing"

	"spate"
	"spate/peerwire"
	"spate/storage"
)

// TestDuplicateConnections checks that exactly one connection is left after a
// session and a peer have dialed each other at the same time, whichever connection
// the peer closes.
func TestDuplicateConnections(t *testing.T) {
	t.Parallel()
	foreign := spate.PeerID{'-', 'L', 'T', '2', '0', '8', '0', '-', 1}
	smaller, greater := spate.NewPeerID(), spate.NewPeerID()
	for i := 8; i < len(smaller); i++ {
		smaller[i], greater[i] = 0, 0xff
	}
	for name, c := range map[string]struct {
		id    spate.PeerID
		close func(first, second *scriptedPeer)                              // closes a connection as the peer does
		want  func(first, second *scriptedPeer) (kept, closed *scriptedPeer) // closed is the one that the session closes, or nil
	}{
		"other client closes the first": {foreign, func(first, _ *scriptedPeer) { first.c.Close() },
			func(_, second *scriptedPeer) (*scriptedPeer, *scriptedPeer) { return second, nil }},
		"other client closes the second": {foreign, func(_, second *scriptedPeer) { second.c.Close() },
			func(first, _ *scriptedPeer) (*scriptedPeer, *scriptedPeer) { return first, nil }},
		"other client keeps both": {foreign, func(_, _ *scriptedPeer) {},
			func(first, second *scriptedPeer) (*scriptedPeer, *scriptedPeer) { return first, second }},
		"spate with a greater peer id": {greater, func(_, _ *scriptedPeer) {},
			func(first, second *scriptedPeer) (*scriptedPeer, *scriptedPeer) { return second, first }},
		"spate with a smaller peer id": {smaller, func(_, second *scriptedPeer) { second.c.Close() },
			func(first, _ *scriptedPeer) (*scriptedPeer, *scriptedPeer) { return first, nil }},
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
			hs := peerwire.Handshake{Reserved: extendedAndFast(), InfoHash: mi.Hash(), PeerID: c.id}
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			first := handshakeAs(t, nc, hs)
			first.await(peerwire.Extended)
			nc, err = net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			second := handshakeAs(t, nc, hs)
			c.close(first, second)
			kept, closed := c.want(first, second)
			if closed != nil {
				closed.dropped()
			}
			kept.send(peerwire.AppendSimple(nil, peerwire.HaveAll))
			kept.await(peerwire.Interested)
			until(t, "one connection is left", func() bool { return tor.Stats().Peers == 1 })
		})
	}
}
