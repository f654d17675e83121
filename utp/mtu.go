package utp

import "time"

// Parameters of the search for the largest packet (RFC 8899 in spirit).
const (
	probeTries  = 2  // probes of a size that must be lost before the size counts as too large
	probeFlight = 3  // full packets in flight behind which a probe is sent, so that its loss is noticed early
	minPadding  = 16 // bytes by which a probe must exceed the known size, because of its extensions
	searchAgain = 10 * time.Minute
	searchSoon  = time.Minute // after the known size was too large

	// A packet may be fragmented after so many transmissions were lost, more of them if it has no
	// more bytes than the packets with which the connection began.
	lostBeforeFragments      = 2
	lostBeforeFragmentsStart = 4
	// fragmentedInRow is the number of packets that arrived only after they might be fragmented,
	// in a row, from which the known size is too large. With 6, a loss of 30 % was taken for it in
	// a quarter of the transfers of 2 MiB, with 8 rarely.
	fragmentedInRow = 8
)

// mtuSteps are the amounts by which sizes of probes fall short of the largest size: links of
// 1,500 bytes, PPPoE, tunnels in IPv4 and IPv6, WireGuard and others.
var mtuSteps = [...]int{0, 8, 20, 40, 60, 80, 100, 120, 160, 200}

// mtuSearch finds the largest packet that the path carries. A probe is a DATA packet that is
// filled up with an extension that receivers skip. If the probe is lost, its data is sent again
// without padding, in a packet of a size that passes. So packets have to be fragmented only if the
// path begins to carry less than before.
type mtuSearch struct {
	size    int // bytes of the largest UDP payload that passes
	start   int // bytes with which the connection began
	least   int // bytes that every path carries
	largest int // bytes of the largest that is tried
	pieces  int // packets that arrived in a row only after they might be fragmented
	step    int // index of mtuSteps of the next probe; len(mtuSteps) if the search has ended
	tries   int // probes of this size that were lost
	again   time.Duration
	probing bool   // a probe is in flight
	seq     uint16 // its sequence number
	padded  *buffer
}

func newMTUSearch(start, largest int) mtuSearch {
	s := mtuSearch{size: min(start, largest), start: min(start, largest), least: min(start, largest), largest: largest}
	if largest > maxMTU6 { // IPv4
		s.least = min(s.least, minMTU)
	}
	return s
}

// fragments reports whether the next transmission of a packet of n bytes may be fragmented, after
// so many. The payload of its sequence number cannot change, because the peer may have received it.
func (s *mtuSearch) fragments(n int, sends uint8) bool {
	switch {
	case n > s.size: // it was made before the size became smaller
		return true
	case n > s.start:
		return sends >= lostBeforeFragments
	}
	return n > s.least && sends >= lostBeforeFragmentsStart
}

// arrived records that a packet of n bytes arrived after so many transmissions. It reports whether
// the known size has become smaller.
func (s *mtuSearch) arrived(now time.Duration, n int, sends uint8) bool {
	if n > s.size || n <= s.lower() {
		return false
	}
	if !s.fragments(n, sends-1) {
		s.pieces = 0
		return false
	}
	s.pieces++
	return s.pieces >= fragmentedInRow && s.shrink(now)
}

// lower returns the size to which shrink goes.
func (s *mtuSearch) lower() int {
	if s.size > s.start {
		return s.start
	}
	return s.least
}

// shrink records that packets of the known size do not pass any more. It reports whether the size
// has become smaller.
func (s *mtuSearch) shrink(now time.Duration) bool {
	if s.size == s.lower() {
		return false
	}
	s.drop()
	s.size, s.pieces = s.lower(), 0
	s.step, s.tries, s.again = len(mtuSteps), 0, now+searchSoon
	return true
}

// due reports whether the packet that is being sent, with the given bytes of payload, is to be
// a probe.
func (s *mtuSearch) due(now time.Duration, payload, full, inFlight int) bool {
	if s.probing || payload != full || inFlight < probeFlight*full {
		return false
	}
	if s.step == len(mtuSteps) && now >= s.again {
		s.step, s.tries = 0, 0
	}
	if s.step < len(mtuSteps) && s.next() < s.size+minPadding {
		s.end(now)
	}
	return s.step < len(mtuSteps)
}

// next returns the size of the next probe.
func (s *mtuSearch) next() int { return s.largest - mtuSteps[s.step] }

func (s *mtuSearch) end(now time.Duration) { s.step, s.again = len(mtuSteps), now+searchAgain }

// pad returns the packet with a sequence number, filled up to the size of the probe. The result
// is valid until the packet is acknowledged or lost.
func (s *mtuSearch) pad(seq uint16, packet []byte) []byte {
	if s.padded == nil {
		s.padded = newBuffer()
	}
	s.probing, s.seq = true, seq
	b := s.padded.data[:s.next()]
	copy(b, packet[:headerLen])
	b[1] = extBits
	fill := len(b) - len(packet)
	ext := b[headerLen : headerLen+fill]
	clear(ext)
	for n := extBitsLen; ; {
		ext[1] = byte(n)
		rest := ext[2+n:]
		if len(rest) == 0 {
			break
		}
		ext[0], ext = extPadding, rest
		n = min(len(ext)-2, maxExtLen)
		if len(ext)-2-n == 1 {
			n-- // the next extension has at least two bytes
		}
	}
	copy(b[headerLen+fill:], packet[headerLen:])
	return b
}

// acked records that the packet with a sequence number arrived after so many transmissions. It
// reports whether the known size has grown.
func (s *mtuSearch) acked(now time.Duration, seq uint16, sends uint8) bool {
	if !s.probing || seq != s.seq {
		return false
	}
	s.drop()
	if sends > 1 {
		return false
	}
	s.size = s.next()
	s.end(now)
	return true
}

// lost records that the packet with a sequence number was lost. It reports whether it was a
// probe, whose loss says nothing about congestion.
func (s *mtuSearch) lost(now time.Duration, seq uint16) bool {
	if !s.probing || seq != s.seq {
		return false
	}
	s.drop()
	s.tries++
	if s.tries == probeTries {
		s.step, s.tries = s.step+1, 0
		if s.step == len(mtuSteps) {
			s.end(now)
		}
	}
	return true
}

// drop forgets the probe in flight.
func (s *mtuSearch) drop() {
	s.probing = false
	if s.padded != nil {
		s.padded.free()
		s.padded = nil
	}
}
