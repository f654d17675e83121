package sctp

import (
	"encoding/binary"
	"hash/crc32"
)

// Types of chunks (RFC 9260, 3.2; RFC 6525).
const (
	kindData             = 0
	kindInit             = 1
	kindInitAck          = 2
	kindSack             = 3
	kindHeartbeat        = 4
	kindHeartbeatAck     = 5
	kindAbort            = 6
	kindShutdown         = 7
	kindShutdownAck      = 8
	kindError            = 9
	kindCookieEcho       = 10
	kindCookieAck        = 11
	kindShutdownComplete = 14
	kindReconfig         = 130
	kindPad              = 132
)

// Flags of DATA chunks.
const (
	flagEnd       = 1
	flagBegin     = 2
	flagImmediate = 8 // the receiver should acknowledge at once
)

// flagNoTag says that an ABORT has the tag of its receiver (RFC 9260, 3.3.7).
const flagNoTag = 1

// Sizes in bytes.
const (
	// MaxPacket is the length of the longest packet that a Channel sends. In a record of DTLS it
	// makes a UDP packet of less than 1,280 bytes, which every IPv6 network carries.
	MaxPacket = 1192

	headerLen   = 12
	chunkHeader = 4
	dataHeader  = 16 // with the header of the chunk
	sackHeader  = 16 // with the header of the chunk
	initHeader  = 16 // without the header of the chunk
	cellLen     = MaxPacket - headerLen - dataHeader
	maxCookie   = MaxPacket - headerLen - chunkHeader
	shutdownLen = 4
	resetHeader = 16 // an outgoing reset request without its streams (RFC 6525, 4.1)
	sackGapLen  = 4
	maxGaps     = 64 // gap blocks that this side sends
	paramHeader = 4
	cookieLen   = 16
)

// Payload protocol identifiers (RFC 8831, 8).
const (
	ppidDCEP   = 50
	ppidString = 51
	ppidBinary = 53
)

// chunk is a chunk of a packet.
type chunk struct {
	kind, flags byte
	value       []byte
}

// nextChunk returns the first chunk of b and the rest of b.
func nextChunk(b []byte) (c chunk, rest []byte, ok bool) {
	if len(b) < chunkHeader {
		return c, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < chunkHeader || n > len(b) {
		return c, nil, false
	}
	return chunk{b[0], b[1], b[chunkHeader:n]}, b[min((n+3)&^3, len(b)):], true
}

// nextParam returns the first parameter of b and the rest of b.
func nextParam(b []byte) (kind uint16, value, rest []byte, ok bool) {
	if len(b) < paramHeader {
		return 0, nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < paramHeader || n > len(b) {
		return 0, nil, nil, false
	}
	return binary.BigEndian.Uint16(b), b[paramHeader:n], b[min((n+3)&^3, len(b)):], true
}

// appendChunk appends a chunk and its padding.
func appendChunk(b []byte, kind, flags byte, value []byte) []byte {
	b = append(b, kind, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(chunkHeader+len(value)))
	b = append(b, value...)
	return append(b, 0, 0, 0)[:len(b)+(-len(value)&3)]
}

// appendParam appends a parameter and its padding.
func appendParam(b []byte, kind uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(paramHeader+len(value)))
	b = append(b, value...)
	return append(b, 0, 0, 0)[:len(b)+(-len(value)&3)]
}

// appendHeader appends the header of a packet without a checksum.
func appendHeader(b []byte, from, to uint16, tag uint32) []byte {
	b = binary.BigEndian.AppendUint16(b, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint32(b, tag)
	return append(b, 0, 0, 0, 0)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// putChecksum computes the checksum of a packet whose checksum is 0.
func putChecksum(packet []byte) {
	binary.LittleEndian.PutUint32(packet[8:], crc32.Checksum(packet, castagnoli))
}

// intact reports whether the checksum of a packet is correct or 0. A checksum of 0 is allowed
// because DTLS protects the packets (RFC 9653).
func intact(packet []byte) bool {
	sum := binary.LittleEndian.Uint32(packet[8:])
	if sum == 0 {
		return true
	}
	var zero [4]byte
	n := crc32.Update(0, castagnoli, packet[:8])
	n = crc32.Update(n, castagnoli, zero[:])
	return crc32.Update(n, castagnoli, packet[headerLen:]) == sum
}

// setup is an INIT or INIT ACK chunk.
type setup struct {
	tag    uint32
	window uint32
	tsn    uint32
	zero   bool // the sender accepts packets without a checksum
	cookie []byte
}

// Parameters of INIT and INIT ACK chunks (RFC 9260, 3.3.2; RFC 5061, 4.2.7; RFC 9653, 4).
const (
	paramCookie     = 7
	paramExtensions = 0x8008
	paramZero       = 0x8001
	zeroByDTLS      = 1
)

// maxParams bounds the parameters of a chunk.
const maxParams = 32

// parseSetup parses the value of an INIT or INIT ACK chunk.
func parseSetup(b []byte) (s setup, ok bool) {
	if len(b) < initHeader {
		return s, false
	}
	s.tag, s.window, s.tsn = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[12:])
	streams := binary.BigEndian.Uint16(b[8:]) > 0 && binary.BigEndian.Uint16(b[10:]) > 0
	b = b[initHeader:]
	for range maxParams {
		kind, value, rest, more := nextParam(b)
		if !more {
			break
		}
		switch kind {
		case paramCookie:
			s.cookie = value
		case paramZero:
			s.zero = len(value) == 4 && binary.BigEndian.Uint32(value) == zeroByDTLS
		}
		b = rest
	}
	return s, s.tag != 0 && streams && len(s.cookie) <= maxCookie
}

// append appends the value of an INIT or INIT ACK chunk. It allows all numbers of streams, because
// the other side chooses the number of the only one.
func (s *setup) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, s.tag)
	b = binary.BigEndian.AppendUint32(b, s.window)
	b = append(b, 0xff, 0xff, 0xff, 0xff)
	b = binary.BigEndian.AppendUint32(b, s.tsn)
	if s.cookie != nil {
		b = appendParam(b, paramCookie, s.cookie)
	}
	b = appendParam(b, paramExtensions, []byte{kindReconfig})
	return appendParam(b, paramZero, []byte{0, 0, 0, zeroByDTLS})
}

// before reports whether TSN a is before b (RFC 1982).
func before(a, b uint32) bool { return int32(a-b) < 0 }
