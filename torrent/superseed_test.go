package torrent

import (
	"testing"

	"spate/peerwire"
	"spate/storage"
)

// TestLeftAlone has one of two peers of the only seed leave: the other has nobody
// to pass pieces on to, and is told of all of them, asked for or not.
func TestLeftAlone(t *testing.T) {
	t.Parallel()
	const pieces = 400
	data, mi := noiseTorrent(t, pieces<<14, 1<<14)
	s := testSession(t, Options{})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	first := dialFoe(t, s.Addr(), mi.Hash(), everything())
	first.await(peerwire.HaveAll)
	second := dialFoe(t, s.Addr(), mi.Hash(), everything())
	second.await(peerwire.HaveNone)
	first.c.Close()
	for told := map[uint32]bool{}; len(told) < pieces; {
		told[second.await(peerwire.Have).Index] = true
	}
}

// TestPlaceOfAnother has a peer come in the place of a useless one, at the only seed:
// it is alone from the start, however long the other takes to go, and is told of
// everything.
func TestPlaceOfAnother(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 4<<14, 1<<14)
	s := testSession(t, Options{MaxConnsPerTorrent: 1})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	useless := dialFoe(t, s.Addr(), mi.Hash(), everything())
	useless.await(peerwire.HaveAll)
	for range uselessFlips + 1 {
		useless.send(peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.Interested), peerwire.NotInterested))
	}
	if !useless.alive(0) { // all of that is read
		t.Fatal("nobody needs its place yet")
	}
	next := dialFoe(t, s.Addr(), mi.Hash(), everything())
	for {
		m, err := next.next()
		if err != nil || m.ID == peerwire.HaveNone {
			t.Fatalf("told of nothing (%v)", err)
		}
		if m.ID == peerwire.HaveAll {
			break
		}
	}
	useless.dropped()
}
