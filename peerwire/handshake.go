// Package peerwire is the codec of the peer wire protocol: the handshake, the
// messages of BEP 3, those of the Fast extension (BEP 6) and the extension
// protocol (BEP 10).
//
// Writing is by functions that append to a buffer, so that many messages go out
// in one call to the system. Reading parses messages in place, out of a buffer
// that holds whatever one call to the system brought: nothing is allocated and
// nothing is copied.
package peerwire

import (
	"errors"
	"fmt"

	"spate"
)

// HandshakeLen is the length in bytes of a handshake (BEP 3).
const HandshakeLen = 68

const protocolName = "BitTorrent protocol"

// ErrNotBitTorrent is the error for a connection that does not begin with the
// protocol's name.
var ErrNotBitTorrent = errors.New("not the BitTorrent protocol")

// Reserved are the eight bytes of a handshake in which clients say what they can.
type Reserved [8]byte

// Bits of Reserved, counted as the BEPs do: byte and mask.
func (r *Reserved) set(i int, mask byte)     { r[i] |= mask }
func (r Reserved) get(i int, mask byte) bool { return r[i]&mask != 0 }

// SetExtended and its like say that this side knows an extension.
func (r *Reserved) SetExtended() { r.set(5, 0x10) } // BEP 10
// SetFast says that this side knows the Fast extension.
func (r *Reserved) SetFast() { r.set(7, 0x04) } // BEP 6
// SetDHT says that this side runs a DHT node.
func (r *Reserved) SetDHT() { r.set(7, 0x01) } // BEP 5
// SetV2 says that this side of a v1 handshake could go on as v2 too.
func (r *Reserved) SetV2() { r.set(7, 0x10) } // BEP 52

// Extended reports whether the peer knows the extension protocol (BEP 10).
func (r Reserved) Extended() bool { return r.get(5, 0x10) }

// Fast reports whether the peer knows the Fast extension (BEP 6).
func (r Reserved) Fast() bool { return r.get(7, 0x04) }

// DHT reports whether the peer runs a DHT node (BEP 5).
func (r Reserved) DHT() bool { return r.get(7, 0x01) }

// V2 reports whether the peer of a v1 handshake could go on as v2 (BEP 52).
func (r Reserved) V2() bool { return r.get(7, 0x10) }

// Handshake is the first thing that each side of a connection says (BEP 3).
type Handshake struct {
	Reserved Reserved
	InfoHash spate.InfoHash
	PeerID   spate.PeerID
}

// Append appends the 68 bytes of the handshake.
func (h *Handshake) Append(b []byte) []byte {
	b = append(b, byte(len(protocolName)))
	b = append(b, protocolName...)
	b = append(b, h.Reserved[:]...)
	b = append(b, h.InfoHash[:]...)
	return append(b, h.PeerID[:]...)
}

// ParseHandshake reads a whole handshake.
func ParseHandshake(b []byte) (Handshake, error) {
	if err := CheckPrefix(b); err != nil {
		return Handshake{}, err
	}
	if len(b) != HandshakeLen {
		return Handshake{}, fmt.Errorf("handshake of %d bytes, want %d", len(b), HandshakeLen)
	}
	return Handshake{
		Reserved: Reserved(b[20:28]),
		InfoHash: spate.InfoHash(b[28:48]),
		PeerID:   spate.PeerID(b[48:68]),
	}, nil
}

// CheckPrefix reports, with ErrNotBitTorrent, whether b cannot be the beginning
// of a handshake. It lets a listener drop garbage at its first byte.
func CheckPrefix(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n := min(len(b)-1, len(protocolName))
	if b[0] != byte(len(protocolName)) || string(b[1:1+n]) != protocolName[:n] {
		return ErrNotBitTorrent
	}
	return nil
}
