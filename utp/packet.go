package utp

import (
	"encoding/binary"
	"time"
)

// kind is the type of a packet (BEP 29).
type kind uint8

const (
	stData kind = iota
	stFin
	stState
	stReset
	stSyn
	kinds // the number of types
)

// Parts of the header (BEP 29).
const (
	headerLen     = 20
	version       = 1
	extNone       = 0
	extSACK       = 1
	extBits       = 2 // extension bits, which libutp once sent with a SYN
	extPadding    = 9 // a type that nobody uses: receivers skip it
	extBitsLen    = 8
	extKinds      = 3 // libutp reads no packet whose first extension has this type or a higher one
	maxExtLen     = 255
	maxExtensions = 8
	noSample      = 1<<31 - 1 // old versions of µTorrent send this delay if they have no sample
)

// header is a packet that was received. Its slices refer to the packet.
type header struct {
	kind      kind
	id        uint16
	timestamp uint32 // when the packet was sent, in microseconds of the sender's clock
	delay     uint32 // the one-way delay that the sender measured last, in microseconds; 0 if none
	window    uint32 // bytes that the sender can still receive
	seq, ack  uint16
	sack      []byte // bit i of byte j is set if packet ack+2+i+8*j was received
	payload   []byte
}

// IsPacket reports whether b looks like a uTP packet: it has the version, a known type and a
// known first extension. Packets of the DHT and of trackers never do.
func IsPacket(b []byte) bool {
	return len(b) >= headerLen && b[0]&0xf == version && kind(b[0]>>4) < kinds && b[1] < extKinds
}

// parse reads a packet into h. It returns false if the packet is malformed.
func parse(h *header, b []byte) bool {
	if !IsPacket(b) {
		return false
	}
	*h = header{
		kind: kind(b[0] >> 4), id: binary.BigEndian.Uint16(b[2:]),
		timestamp: binary.BigEndian.Uint32(b[4:]), delay: binary.BigEndian.Uint32(b[8:]), window: binary.BigEndian.Uint32(b[12:]),
		seq: binary.BigEndian.Uint16(b[16:]), ack: binary.BigEndian.Uint16(b[18:]),
	}
	if h.delay == noSample {
		h.delay = 0
	}
	ext, rest := b[1], b[headerLen:]
	for n := 0; ext != extNone; n++ {
		if len(rest) < 2 || len(rest)-2 < int(rest[1]) || n == maxExtensions {
			return false
		}
		if ext == extSACK {
			h.sack = rest[2 : 2+int(rest[1])]
		}
		ext, rest = rest[0], rest[2+int(rest[1]):]
	}
	h.payload = rest
	return true
}

// put writes the header to the first bytes of b, without extensions.
func (h *header) put(b []byte) {
	b[0], b[1] = byte(h.kind)<<4|version, extNone
	binary.BigEndian.PutUint16(b[2:], h.id)
	binary.BigEndian.PutUint32(b[4:], h.timestamp)
	binary.BigEndian.PutUint32(b[8:], h.delay)
	binary.BigEndian.PutUint32(b[12:], h.window)
	binary.BigEndian.PutUint16(b[16:], h.seq)
	binary.BigEndian.PutUint16(b[18:], h.ack)
}

// timestamp returns the field of a header for a time of a clock that is ahead by so many
// microseconds. It is never 0, which means "no time".
func timestamp(now time.Duration, clock uint32) uint32 {
	return max(uint32(now.Microseconds())+clock, 1)
}

// before reports whether the sequence number a comes before b. Sequence numbers wrap.
func before(a, b uint16) bool { return int16(a-b) < 0 }

// answerSYN writes the packet that accepts a SYN.
func answerSYN(b []byte, syn *header, p proof, window int, now time.Duration) {
	ts := timestamp(now, p.clock)
	h := header{kind: stState, id: syn.id, timestamp: ts, delay: ts - syn.timestamp, window: uint32(window), seq: syn.seq + p.seq, ack: syn.seq}
	h.put(b)
}

// answerReset writes the packet that tells the sender of h that it has no connection here.
func answerReset(b []byte, h *header, id uint16, now time.Duration) {
	ts := timestamp(now, 0)
	r := header{kind: stReset, id: id, timestamp: ts, delay: ts - h.timestamp, seq: h.ack, ack: h.seq}
	r.put(b)
}
