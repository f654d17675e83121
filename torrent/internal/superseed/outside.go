package superseed

import (
	"slices"
	"time"
)

// Bounds of the pieces that were sent outside of the connections to peers.
const (
	outsideFor = 30 * time.Second // how long such a piece counts as sent to a peer
	maxOutside = 4096             // such pieces that are remembered
)

// outside is a piece that was sent to some peer outside of its connection.
type outside struct {
	piece uint32
	until time.Time
}

// SentOutside records that a whole piece was sent to some peer outside of its connection, over
// HTTP. For a while the piece counts as one that a peer is expected to get, so that other peers
// are shown other pieces first. A peer that announces the piece makes it count for longer. The
// caller need not know which peer it was, so no peer counts as having the piece. A piece that is sent
// again counts once, and for longer.
func (s *Seed) SentOutside(piece uint32, now time.Time) {
	if s.shown == nil {
		return
	}
	if i := slices.IndexFunc(s.outside, func(o outside) bool { return o.piece == piece }); i >= 0 {
		s.outside = slices.Delete(s.outside, i, i+1)
	} else if len(s.outside) == maxOutside {
		return
	} else {
		s.count(piece, expected)
	}
	s.outside = append(s.outside, outside{piece, now.Add(outsideFor)})
}

// trimOutside forgets the pieces that were sent outside too long ago.
func (s *Seed) trimOutside(now time.Time) {
	n := 0
	for n < len(s.outside) && !now.Before(s.outside[n].until) {
		s.count(s.outside[n].piece, -expected)
		n++
	}
	s.outside = append(s.outside[:0], s.outside[n:]...)
}
