package utp

import (
	"sync/atomic"
	"time"
)

// Bounds of the receiving side.
const (
	maxReorder  = 2048                  // packets ahead of a lost one that are kept
	maxSACK     = 128                   // bytes of a selective ACK
	ackEvery    = 2                     // packets after which an ACK is sent at once
	ackDelay    = 10 * time.Millisecond // the longest wait for a second packet
	minRingSize = 16
	// maxReorderAll bounds the packets ahead of lost ones that all connections of a Socket keep:
	// 48 MiB, however many peers send packets out of order. Beyond it, a connection keeps fewer than
	// minRingSize.
	maxReorderAll = 1 << 15
)

// receiver puts the packets of the peer in order and decides when to acknowledge them.
type receiver struct {
	ack       uint16 // the last packet of the sequence without gaps
	unread    fifo
	into      []byte        // memory of a reader that gathers, which takes bytes before unread; nil if none does
	filled    int           // the bytes in into
	ring      []*buffer     // packets behind a gap, by sequence number; its length is a power of two
	reordered int           // the packets in ring
	all       *atomic.Int64 // the packets in the rings of all connections of the Socket; nil without a Socket
	limit     int           // bytes that may wait to be read
	fin       uint16        // the sequence number of the FIN, if hasFin
	hasFin    bool
	ended     bool // all packets up to the FIN have arrived
	discard   bool // nobody reads any more

	unacked    int           // packets that arrived since the last ACK
	ackNow     bool          // an ACK is due at once
	ackAt      time.Duration // when an ACK is due; 0 if none is
	advertised int           // the window in the last packet sent
}

// window returns the bytes that the peer may send.
func (r *receiver) window() int { return max(r.limit-r.unread.size, 0) }

// receive takes a DATA or FIN packet.
func (r *receiver) receive(now time.Duration, h *header) {
	if h.kind == stFin && !r.hasFin && !before(h.seq, r.ack+1) {
		r.fin, r.hasFin = h.seq, true
	}
	ahead := int(h.seq - r.ack - 1)
	switch {
	case before(h.seq, r.ack+1), r.ended, r.hasFin && before(r.fin, h.seq):
		r.ackNow = true // the peer has not seen the ACK of this packet
		return
	case ahead >= maxReorder:
		return
	case ahead > 0:
		if !r.discard {
			r.keep(h, ahead)
		}
		r.ackNow = true
		return
	}
	if r.unread.size+len(h.payload) > r.limit+maxPacket && !r.discard {
		r.ackNow = true // a window probe, or a peer that ignores the window
		return
	}
	r.deliver(h.seq, nil, h.payload)
	for r.reordered > 0 {
		slot := &r.ring[int(r.ack+1)&(len(r.ring)-1)]
		b := *slot
		if b == nil {
			break
		}
		*slot = nil
		r.count(-1)
		r.deliver(r.ack+1, b, nil)
		r.ackNow = true
	}
	if r.ended {
		r.dropRing()
	} else if r.reordered == 0 && len(r.ring) > idleRing {
		r.ring = nil
	}
	r.unacked++
	if r.unacked >= ackEvery || r.ended {
		r.ackNow = true
	} else if r.ackAt == 0 {
		r.ackAt = now + ackDelay
	}
}

// deliver makes the next packet of the sequence readable: the bytes of b, or a copy of payload if
// b is nil.
func (r *receiver) deliver(seq uint16, b *buffer, payload []byte) {
	r.ack = seq
	switch {
	case r.ended || r.discard:
		if b != nil {
			b.free()
		}
	case b != nil:
		if b.begin += uint16(r.gather(b.bytes())); b.begin == b.end {
			b.free()
		} else {
			r.unread.push(b)
		}
	default:
		r.unread.append(payload[r.gather(payload):])
	}
	r.ended = r.ended || r.hasFin && r.fin == seq
}

// gather copies bytes to a reader that gathers, and returns their number.
func (r *receiver) gather(p []byte) int {
	if r.into == nil || r.unread.size > 0 {
		return 0
	}
	n := copy(r.into[r.filled:], p)
	r.filled += n
	return n
}

// keep copies a packet that arrived before others that are missing.
func (r *receiver) keep(h *header, ahead int) {
	if len(h.payload) > maxPacket || r.reordered >= minRingSize && r.all != nil && r.all.Load() >= maxReorderAll {
		return
	}
	r.grow(ahead)
	slot := &r.ring[int(h.seq)&(len(r.ring)-1)]
	if *slot != nil {
		return
	}
	b := newBuffer()
	b.end = uint16(copy(b.data[:], h.payload))
	*slot = b
	r.count(1)
}

// count adds to the number of packets in the ring.
func (r *receiver) count(n int) {
	r.reordered += n
	if r.all != nil {
		r.all.Add(int64(n))
	}
}

// grow makes room in the ring for a packet that is ahead of the next one by the given distance.
func (r *receiver) grow(ahead int) {
	size := max(len(r.ring), minRingSize)
	for size <= ahead {
		size *= 2
	}
	if size == len(r.ring) {
		return
	}
	ring := make([]*buffer, size)
	for i := range r.ring {
		seq := int(r.ack) + 1 + i
		ring[seq&(size-1)] = r.ring[seq&(len(r.ring)-1)]
	}
	r.ring = ring
}

func (r *receiver) dropRing() {
	for _, b := range r.ring {
		if b != nil {
			b.free()
		}
	}
	r.count(-r.reordered)
	r.ring = nil
}

// read moves received bytes to p. If the window was nearly closed and has opened, the peer is
// told at once.
func (r *receiver) read(p []byte) int {
	n := r.unread.read(p)
	if w := r.window(); r.advertised < r.limit/4 && w >= r.limit/2 && !r.ended {
		r.ackNow = true
	}
	return n
}

// stop discards what was received and what will be.
func (r *receiver) stop() {
	r.discard = true
	r.unread.clear()
	r.dropRing()
}

// sack writes the selective ACK to b and returns its length, a multiple of four, or 0 if no
// packet is behind a gap.
func (r *receiver) sack(b []byte) int {
	if r.reordered == 0 {
		return 0
	}
	clear(b[:maxSACK])
	n, left := 0, r.reordered
	for i := 0; i < maxSACK*8 && i+1 < len(r.ring) && left > 0; i++ {
		if r.ring[int(r.ack+2+uint16(i))&(len(r.ring)-1)] != nil {
			b[i/8] |= 1 << (i % 8)
			n = i/32*4 + 4
			left--
		}
	}
	return n
}

// acknowledged records that a packet with the current ACK was sent.
func (r *receiver) acknowledged() { r.unacked, r.ackNow, r.ackAt = 0, false, 0 }
