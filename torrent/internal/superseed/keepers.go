package superseed

import (
	"spate/bitfield"
	"spate/torrent/internal/picker"
)

// A piece that only peers have which pass nothing on is of no use to the others. It counts as one
// that nobody has, so that another peer gets it.

// SetKeeps records whether the peer passes on nothing.
func (s *Seed) SetKeeps(id picker.PeerID, keeps bool) {
	p := s.peer(id)
	if s.shown == nil || p == nil || p.keeps == keeps {
		return
	}
	p.keeps = keeps
	s.reached = 0
	if !keeps {
		s.releaseKept(p)
		return
	}
	if s.kept == nil {
		s.kept = make([]uint16, s.pieces.Num)
	}
	p.kept = bitfield.New(s.pieces.Num)
	for i := range s.kept {
		if s.swarm.PeerHas(id, i) {
			s.keep(p, i)
		}
	}
}

// keep counts a piece of a peer that passes on nothing, once.
func (s *Seed) keep(p *peer, piece int) {
	if !p.kept.Get(piece) {
		p.kept.Set(piece)
		s.kept[piece]++
	}
}

// Lacks records that the peer no longer has a piece.
func (s *Seed) Lacks(id picker.PeerID, piece uint32) {
	if p := s.peer(id); p != nil && p.keeps && p.kept.Get(int(piece)) {
		p.kept.Clear(int(piece))
		s.kept[piece]--
	}
}

// releaseKept no longer counts the pieces of a peer that passed on nothing.
func (s *Seed) releaseKept(p *peer) {
	for i := range p.kept.Ones() {
		s.kept[i]--
	}
	p.kept = bitfield.Bitfield{}
}

// available returns the number of peers that have the piece and may pass it on, or of all peers
// that have it if none of them passes on anything.
func (s *Seed) available(piece int) int {
	return max(0, s.swarm.Availability(piece)-s.keptBy(piece))
}

// keptBy returns the number of peers that have the piece and pass on nothing. It is 0 if no peer
// passes on anything.
func (s *Seed) keptBy(piece int) int {
	if s.kept == nil || !s.anyPasses {
		return 0
	}
	return int(s.kept[piece])
}

// Alone reports whether no other peer has the piece that may pass it on.
func (s *Seed) Alone(id picker.PeerID, piece int) bool {
	n := s.available(piece)
	if p := s.peer(id); s.swarm.PeerHas(id, piece) && (p == nil || !p.keeps || !s.anyPasses) {
		n--
	}
	return n <= 0
}
