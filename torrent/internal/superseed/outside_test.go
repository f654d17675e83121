package superseed

import (
	"slices"
	"testing"
	"time"

	"spate/torrent/internal/picker"
)

// TestSentOutsideCountsAsSent checks that a piece that was sent over HTTP is shown to peers after
// those that nobody was sent, and like others again when nobody has announced it for a while.
func TestSentOutsideCountsAsSent(t *testing.T) {
	s, _, now := newSeed(t, 4, 3)
	s.SentOutside(0, now)
	s.SentOutside(1, now.Add(time.Second))
	var got []uint32
	show := func(id int, now time.Time) {
		list, _ := s.Show(picker.PeerID(id), Link{Choked: true}, now)
		got = append(got, list...)
	}
	show(0, now)
	show(1, now)
	s.movedAt = now.Add(outsideFor) // peers request pieces all the time
	s.Tick(3, true, now.Add(outsideFor))
	show(2, now.Add(outsideFor))
	if want := []uint32{2, 3, 0}; !slices.Equal(got, want) {
		t.Errorf("the peers were shown %v, want %v", got, want)
	}
	s.Tick(3, true, now.Add(outsideFor+time.Second))
	if len(s.outside) > 0 || s.shown[1] != 0 {
		t.Errorf("%v is remembered after its time, piece 1 counts %d", s.outside, s.shown[1])
	}
}

// TestSentOutsideIsBounded checks that any number of direct downloads takes bounded memory, and
// that peers are shown pieces however many were sent outside.
func TestSentOutsideIsBounded(t *testing.T) {
	const pieces = 8
	s, k, now := newSeed(t, pieces, 2)
	for i := range 3 * maxOutside {
		s.SentOutside(uint32(i%pieces), now)
	}
	if len(s.outside) > maxOutside {
		t.Errorf("%d pieces are remembered, want at most %d", len(s.outside), maxOutside)
	}
	s.Unchoked(0, now)
	for range pieces {
		list, _ := s.Show(0, Link{Unacked: func() (int, bool) { return 0, true }}, now)
		if len(list) == 0 {
			t.Fatal("a peer that has received everything is shown nothing")
		}
		for _, piece := range list {
			s.Request(0, piece, block, now)
			s.Written(0, piece, block)
			k.PeerHave(0, int(piece))
			s.Has(0, piece, now)
		}
		if s.firstCopyOut() {
			return
		}
	}
	t.Error("the peer was not shown all pieces")
}

// TestPieceSentOutsideTwiceCountsOnce checks that a client which fetches one piece over HTTP again and
// again cannot raise the count of the piece, and that the last time decides how long it counts.
func TestPieceSentOutsideTwiceCountsOnce(t *testing.T) {
	s, _, now := newSeed(t, 4, 3)
	for range 1000 {
		s.SentOutside(1, now)
	}
	s.SentOutside(2, now.Add(time.Second))
	s.SentOutside(1, now.Add(2*time.Second))
	if len(s.outside) != 2 || s.shown[1] != expected || s.shown[2] != expected {
		t.Fatalf("%d pieces are remembered, with the counts %d and %d; want 2, once each", len(s.outside), s.shown[1], s.shown[2])
	}
	s.trimOutside(now.Add(outsideFor + time.Second))
	if s.shown[1] != expected || s.shown[2] != 0 {
		t.Errorf("the counts are %d and %d, want the first piece to count for longer", s.shown[1], s.shown[2])
	}
	s.trimOutside(now.Add(outsideFor + 2*time.Second))
	if s.shown[1] != 0 || len(s.outside) != 0 {
		t.Errorf("piece 1 counts %d after its time", s.shown[1])
	}
}
