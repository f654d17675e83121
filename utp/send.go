package utp

import (
	"encoding/binary"
	"time"
)

// Bounds of the sending side.
const (
	// safeInFlight is the number of packets that any peer can put in order: libtorrent keeps 953
	// behind a lost one, libutp 1,023. A peer that offers a larger window keeps more.
	safeInFlight  = 900
	maxInFlight   = 2000
	safeWindow    = 1 << 20
	minSendBuffer = 64 << 10
	maxSendBuffer = 4 << 20
	idleRing      = 64 // slots that an idle connection keeps

	// A packet counts as lost when so many that were sent later have arrived (RFC 9002). The number
	// grows if packets were sent again in vain, because the network reorders them.
	minTolerance = 3
	maxTolerance = 100
)

// status is the state of a packet in the send ring.
type status uint8

const (
	queued status = iota // not sent yet
	flying
	lost // to be sent again
	acked
)

// slot is a packet that the peer has not acknowledged. The buffer has the header in place, so
// that a run of packets can be sent without copying.
type slot struct {
	b      *buffer
	status status
	sends  uint8         // transmissions, up to 255
	probe  bool          // it was sent again before it counted as lost
	order  uint32        // the number of the last transmission among those of the connection
	sentAt time.Duration // of the last transmission
}

func (s *slot) payload() int { return int(s.b.end) - headerLen }

// sender keeps the packets that the peer has not acknowledged.
type sender struct {
	ring     []slot // by sequence number; its length is a power of two
	una      uint16 // the oldest packet that is not acknowledged
	next     uint16 // the first packet that was never sent
	end      uint16 // the sequence number of the next packet that will be queued
	firstHit uint16 // no packet before it is lost
	inFlight int    // bytes in packets that are flying
	unsent   int    // bytes in packets that were never sent
	unacked  int    // bytes that were written and not acknowledged
	acked    uint64 // bytes that the peer has acknowledged
	lost     int    // packets that are to be sent again
	order    uint32 // the number of the last transmission
	packet   int    // bytes of payload in a full packet
	window   int    // bytes that the peer can receive
	fin      bool   // a FIN is queued; nothing may follow
}

func (s *sender) at(seq uint16) *slot { return &s.ring[int(seq)&(len(s.ring)-1)] }

// count returns the number of packets in the ring.
func (s *sender) count() int { return int(s.end - s.una) }

// add adds a packet without payload to the ring.
func (s *sender) add(k kind, id uint16) *slot {
	if n := s.count(); n+1 >= len(s.ring) {
		ring := make([]slot, max(minRingSize, 2*len(s.ring)))
		for i := range n {
			seq := s.una + uint16(i)
			ring[int(seq)&(len(ring)-1)] = *s.at(seq)
		}
		s.ring = ring
	}
	p := s.at(s.end)
	*p = slot{b: newBuffer()}
	h := header{kind: k, id: id, seq: s.end}
	h.put(p.b.data[:])
	p.b.end = headerLen
	s.end++
	return p
}

// room returns the bytes that may be queued while the congestion window has the given size.
func (s *sender) room(window int) int {
	limit := min(max(2*window, minSendBuffer), maxSendBuffer)
	return max(limit-s.unsent-s.inFlight, 0)
}

// write queues up to limit bytes of p.
func (s *sender) write(p []byte, id uint16, limit int) (n int) {
	p = p[:min(len(p), limit)]
	for len(p) > 0 {
		var last *slot
		if s.next != s.end {
			last = s.at(s.end - 1)
		}
		if last == nil || last.payload() >= s.packet {
			if s.count() >= 2*maxInFlight {
				break
			}
			last = s.add(stData, id)
		}
		k := copy(last.b.data[last.b.end:headerLen+s.packet], p)
		last.b.end += uint16(k)
		s.unsent += k
		s.unacked += k
		n += k
		p = p[k:]
	}
	return n
}

// sent records a transmission of the packet with a sequence number, which is queued or lost.
func (s *sender) sent(now time.Duration, seq uint16) {
	p := s.at(seq)
	if p.status == queued {
		s.unsent -= p.payload()
		s.next = seq + 1
	} else {
		s.lost--
	}
	s.order++
	p.status, p.sends, p.order, p.sentAt = flying, min(p.sends, 254)+1, s.order, now
	s.inFlight += p.payload()
}

// lose marks a flying packet as lost.
func (s *sender) lose(seq uint16) {
	p := s.at(seq)
	p.status = lost
	s.inFlight -= p.payload()
	if s.lost == 0 || before(seq, s.firstHit) {
		s.firstHit = seq
	}
	s.lost++
}

// firstLost returns the oldest lost packet. There must be one.
func (s *sender) firstLost() uint16 {
	if before(s.firstHit, s.una) {
		s.firstHit = s.una
	}
	for s.at(s.firstHit).status != lost {
		s.firstHit++
	}
	return s.firstHit
}

// acknowledge records that a sent packet arrived. It returns its slot and the bytes of its
// payload, or false if the packet was acknowledged before.
func (s *sender) acknowledge(seq uint16) (p *slot, bytes int, ok bool) {
	p = s.at(seq)
	if p.status == acked {
		return p, 0, false
	}
	bytes = p.payload()
	if p.status == flying {
		s.inFlight -= bytes
	} else {
		s.lost--
	}
	s.unacked -= bytes
	s.acked += uint64(bytes)
	p.b.free()
	p.b, p.status = nil, acked
	return p, bytes, true
}

// advance removes the oldest packets that are acknowledged.
func (s *sender) advance() {
	for s.una != s.next && s.at(s.una).status == acked {
		s.una++
	}
	if s.una == s.end && len(s.ring) > idleRing {
		s.ring = nil
	}
}

// clear drops all packets.
func (s *sender) clear() {
	for seq := s.una; seq != s.end; seq++ {
		if b := s.at(seq).b; b != nil {
			b.free()
		}
	}
	s.una, s.next = s.end, s.end
	s.ring, s.inFlight, s.unsent, s.unacked, s.lost = nil, 0, 0, 0, 0
}

// packets returns how many packets may be unacknowledged at once.
func (s *sender) packets() int {
	if s.window <= safeWindow {
		return safeInFlight
	}
	return min(maxInFlight, s.window/(safeWindow/safeInFlight))
}

// stamp updates the fields of a header that change with each transmission.
func stamp(b []byte, timestamp, delay uint32, window int, ack uint16) {
	binary.BigEndian.PutUint32(b[4:], timestamp)
	binary.BigEndian.PutUint32(b[8:], delay)
	binary.BigEndian.PutUint32(b[12:], uint32(window))
	binary.BigEndian.PutUint16(b[18:], ack)
}
