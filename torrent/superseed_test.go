package torrent

import (
	"testing"

	"spate/peerwire"
	"spate/storage"
)

// TestPeerLeftAloneIsTold has one of two peers of the only seed leave: the seed tells the
// other of all pieces, because it has no other peer to pass pieces on to.
func TestPeerLeftAloneIsTold(t *testing.T) {
	t.Parallel()
	const pieces = 400
	data, mi := noiseTorrent(t, pieces<<14, 1<<14)
	s := testSession(t, Options{})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	first := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	first.await(peerwire.HaveAll)
	second := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	second.await(peerwire.HaveNone)
	first.c.Close()
	for told := map[uint32]bool{}; len(told) < pieces; {
		told[second.await(peerwire.Have).Index] = true
	}
}

// TestPeerInSlotOfUselessPeerIsTold has a peer get the slot of a useless peer at the only
// seed: it counts as alone from the start, although the connection of the useless peer may
// still be ending, and is told of all pieces.
func TestPeerInSlotOfUselessPeerIsTold(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 4<<14, 1<<14)
	s := testSession(t, Options{MaxConnsPerTorrent: 1})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	useless := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	useless.await(peerwire.HaveAll)
	for range uselessFlips + 1 {
		useless.send(peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.Interested), peerwire.NotInterested))
	}
	if !useless.alive(0) { // the seed has read all messages
		t.Fatal("the useless peer was dropped before its slot was needed")
	}
	next := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	for {
		m, err := next.next()
		if err != nil || m.ID == peerwire.HaveNone {
			t.Fatalf("pieces are hidden from the peer (%v)", err)
		}
		if m.ID == peerwire.HaveAll {
			break
		}
	}
	useless.dropped()
}
