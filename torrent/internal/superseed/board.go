package superseed

import "sync/atomic"

// A release can have two swarms: that of a hybrid torrent and that of its v1 twin. The origin has
// a Seed for each, and peers that take part in both swarms carry pieces from one to the other.
// While there is such a peer, a Seed counts the other swarm as one more peer, so that the two Seeds
// send one first copy together. No peer waits for a piece to be carried: a peer that has received
// everything else is shown pieces that only the other swarm has, as if another peer had them.

// Board contains what the Seed of one swarm tells the Seed of the other. Only the Seed of its own
// swarm writes to it. The two Seeds may be used at the same time.
type Board struct {
	pieces   []atomic.Uint32 // a pieceState for each piece
	carriers atomic.Int32    // peers that take part in both swarms; 0 while super-seeding is off
	others   atomic.Int32    // peers that take part in this swarm only
	unshown  atomic.Int32    // copy of Seed.unshown
	hiding   atomic.Int32    // copy of Seed.hiding
}

// pieceState says how far a piece has spread in a swarm.
type pieceState = uint32

const (
	notShown   pieceState = iota
	isShown               // a peer was shown the piece
	isExpected            // a peer is expected to get the piece from the seed
	isHeld                // a peer has the piece and may pass it on
)

// NewBoard returns the board of a swarm with pieces pieces.
func NewBoard(pieces int) *Board { return &Board{pieces: make([]atomic.Uint32, pieces)} }

// Link makes the Seed write to own and read from other, the boards of the two swarms of a release.
// Both are nil if the seed no longer seeds both. The other Seed then counts its own swarm alone.
func (s *Seed) Link(own, other *Board) {
	if s.own != nil {
		s.own.carriers.Store(0)
	}
	s.own, s.other = own, other
	s.tellOther(0)
}

// SetCarriers records how many peers take part in both swarms of the release.
func (s *Seed) SetCarriers(n int) {
	s.carriers = n
	if s.own != nil && s.shown != nil {
		s.own.carriers.Store(int32(n))
	}
}

// carried reports whether peers carry pieces between the two swarms.
func (s *Seed) carried() bool {
	return s.other != nil && s.carriers > 0 && s.other.carriers.Load() > 0
}

// tellOther writes everything to the board. peers is the number of peers of the swarm.
func (s *Seed) tellOther(peers int) {
	b := s.own
	switch {
	case b == nil:
		return
	case s.shown == nil:
		b.carriers.Store(0)
		return
	}
	for i := range b.pieces {
		s.tellPiece(uint32(i))
	}
	b.unshown.Store(int32(s.unshown))
	b.hiding.Store(int32(s.hiding))
	b.others.Store(int32(max(0, peers-s.carriers)))
	b.carriers.Store(int32(s.carriers))
}

// tellPiece writes the state of a piece to the board.
func (s *Seed) tellPiece(piece uint32) {
	if s.own == nil {
		return
	}
	state := notShown
	switch n := s.shown[piece]; {
	case s.available(int(piece)) > 0:
		state = isHeld
	case n >= expected:
		state = isExpected
	case n > 0:
		state = isShown
	}
	s.own.pieces[piece].Store(state)
}

// elsewhere returns what the other swarm adds to the score of a piece; see rarest.
func (s *Seed) elsewhere(piece int) int {
	switch s.other.pieces[piece].Load() {
	case isHeld, isExpected:
		return expected
	case isShown:
		return 1
	}
	return 0
}

// heldElsewhere reports whether a peer of the other swarm has the piece and may pass it on.
func (s *Seed) heldElsewhere(piece int) bool { return s.other.pieces[piece].Load() == isHeld }

// unshownOfBoth returns the number of pieces that no peer of either swarm was shown, and the number
// of peers that are shown pieces one by one.
func (s *Seed) unshownOfBoth() (unshown, hiding int) {
	if !s.carried() {
		return s.unshown, s.hiding
	}
	unshown = s.unshown + int(s.other.unshown.Load()) - s.pieces.Num
	return max(0, unshown), s.hiding + int(s.other.hiding.Load())
}

// FeedsOtherSwarm reports whether peers of the other swarm need what the peers of this one carry.
func (s *Seed) FeedsOtherSwarm() bool { return s.carried() && s.other.others.Load() > 0 }
