package torrent

import (
	"testing"

	"spate/peerwire"
	"spate/storage"
)

// TestOnlyPeerIsToldOfAllPieces checks that the only seed tells a peer of all pieces after
// its only other peer has left, because the peer can then pass pieces on to no other peer.
func TestOnlyPeerIsToldOfAllPieces(t *testing.T) {
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

// TestPeerInSlotOfUselessPeerIsToldOfAllPieces checks that a peer that gets the slot of a
// useless peer at the only seed is told of all pieces. It counts as the only peer from the
// start, even while the connection of the useless peer is still ending.
func TestPeerInSlotOfUselessPeerIsToldOfAllPieces(t *testing.T) {
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

// TestWriterOfGonePeerChangesNothing checks that the last blocks of a connection that is gone
// do not count for another peer that already has the same handle.
func TestWriterOfGonePeerChangesNothing(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 100<<14, 1<<14)
	s := testSession(t, Options{})
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast()).await(peerwire.HaveAll)
	old := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	old.await(peerwire.HaveNone)
	tor.mu.Lock()
	gone := tor.peerConns.byID[1]
	tor.mu.Unlock()
	old.c.Close()
	until(t, "the peer is gone", func() bool { return tor.Stats().Peers == 1 })
	next := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	next.await(peerwire.HaveNone)
	next.send(peerwire.AppendSimple(nil, peerwire.HaveNone))
	shown := next.await(peerwire.Have).Index
	tor.mu.Lock()
	defer tor.mu.Unlock()
	if tor.peerConns.byID[1] == nil || tor.peerConns.byID[1] == gone {
		t.Fatal("the new peer has another handle")
	}
	gone.writtenLocked([]upload{{piece: shown, length: 1 << 14}})
	if tor.pick.PeerHas(1, int(shown)) {
		t.Error("blocks of the peer that is gone count for the new peer")
	}
}
