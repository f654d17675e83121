package superseed

import "spate/torrent/internal/picker"

// A piece that only peers have which pass nothing on is of no use to the others. It counts as one
// that nobody has, so that another peer gets it.

// SetKeeps records whether the peer passes on nothing.
func (s *Seed) SetKeeps(id picker.PeerID, keeps bool) {
	p := s.peer(id)
	if s.shown == nil || p == nil || p.keeps == keeps {
		return
	}
	p.keeps = keeps
	s.countKept(id, keeps)
}

// countKept counts the pieces of a peer that passes on nothing, or no longer counts them.
func (s *Seed) countKept(id picker.PeerID, keeps bool) {
	if s.kept == nil {
		s.kept = make([]uint16, s.pieces.Num)
	}
	for i := range s.kept {
		if s.swarm.PeerHas(id, i) {
			s.keep(i, keeps)
		}
	}
	s.reached = 0
}

func (s *Seed) keep(piece int, keeps bool) {
	if keeps {
		s.kept[piece]++
	} else if s.kept[piece] > 0 {
		s.kept[piece]--
	}
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
