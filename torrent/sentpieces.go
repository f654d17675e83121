package torrent

import (
	"time"

	"spate/bitfield"
)

// While a torrent super-seeds, a peer counts as having a piece as soon as the whole piece was
// written to it, because some clients announce no piece that this side has. The piece may
// still be on its way then. Torrent.mu guards all of this.

// sentPieces are the pieces that a peer counts as having because they were written to it, and
// that it has not announced.
type sentPieces struct {
	set bitfield.Bitfield // length 0 until a piece was sent
	n   int               // number of pieces in set
}

// unannouncedFor is how long after the last write to a peer the connection is kept because the
// peer may still lack pieces that were sent to it.
const unannouncedFor = time.Minute

// add adds a piece of a torrent with pieces pieces.
func (s *sentPieces) add(piece, pieces int) {
	if s.set.Len() == 0 {
		s.set = bitfield.New(pieces)
	}
	if !s.set.Get(piece) {
		s.set.Set(piece)
		s.n++
	}
}

// announced removes a piece that the peer has announced.
func (s *sentPieces) announced(piece int) {
	if s.n == 0 || !s.set.Get(piece) {
		return
	}
	s.set.Clear(piece)
	s.n--
	if s.n == 0 {
		*s = sentPieces{}
	}
}

// awaitsPiecesLocked reports whether the peer may lack pieces although it counts as a seed:
// it has not announced pieces that were sent to it, and it still wants pieces or has not
// acknowledged everything.
func (c *conn) awaitsPiecesLocked(now time.Time) bool {
	if c.wire.sent.n == 0 || now.Sub(c.tx.lastWrite) > unannouncedFor {
		return false
	}
	unacked, _ := c.sock.Unacked()
	return c.wire.peerInterested || c.tx.writing || len(c.tx.uploads) > 0 || unacked > 0
}

// neitherNeedsLocked reports whether both sides are seeds that need nothing from each other.
func (c *conn) neitherNeedsLocked(now time.Time) bool {
	return c.t.status.state == StateSeeding && c.t.pick.PeerIsSeed(c.id) && !c.owesHashesLocked() && !c.awaitsPiecesLocked(now)
}
