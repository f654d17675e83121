// Package peerwire encodes and decodes the peer wire protocol: the handshake and the
// messages of BEP 3, BEP 5, BEP 6 (Fast extension), BEP 10 (extension protocol) and BEP
// 52.
//
// The Append functions add messages to a buffer, so that many messages can be sent with
// one system call. [Parse] decodes messages in place, from a buffer that one system
// call filled; it copies nothing and does not allocate.
package peerwire

import (
	"errors"
	"fmt"

	"spate"
	"spate/internal/units"
)

// HandshakeLen is the length of a handshake in bytes (BEP 3).
const HandshakeLen = 68

const protocolName = "BitTorrent protocol"

// PrefixLen is the length in bytes of what every handshake begins with (see [CheckPrefix]).
const PrefixLen = 1 + len(protocolName)

// ErrNotBitTorrent is returned for data that does not start with the name of the
// protocol.
var ErrNotBitTorrent = errors.New("not the BitTorrent protocol")

// Reserved holds the eight reserved bytes of a handshake. Their bits announce
// extensions.
type Reserved [8]byte

// set and get access the bits by byte and mask, as the BEPs give them.
func (r *Reserved) set(i int, mask byte)     { r[i] |= mask }
func (r Reserved) get(i int, mask byte) bool { return r[i]&mask != 0 }

// SetExtended announces the extension protocol.
func (r *Reserved) SetExtended() { r.set(5, 0x10) } // BEP 10
// SetFast announces the Fast extension.
func (r *Reserved) SetFast() { r.set(7, 0x04) } // BEP 6
// SetDHT announces a DHT node.
func (r *Reserved) SetDHT() { r.set(7, 0x01) } // BEP 5
// SetV2 announces, in a v1 handshake, that the sender could continue with the v2
// torrent.
func (r *Reserved) SetV2() { r.set(7, 0x10) } // BEP 52

// Extended reports whether the peer supports the extension protocol (BEP 10).
func (r Reserved) Extended() bool { return r.get(5, 0x10) }

// Fast reports whether the peer supports the Fast extension (BEP 6).
func (r Reserved) Fast() bool { return r.get(7, 0x04) }

// DHT reports whether the peer runs a DHT node (BEP 5).
func (r Reserved) DHT() bool { return r.get(7, 0x01) }

// V2 reports whether the sender of a v1 handshake could continue with the v2 torrent
// (BEP 52).
func (r Reserved) V2() bool { return r.get(7, 0x10) }

// Handshake is the first message of each side of a connection (BEP 3).
type Handshake struct {
	Reserved Reserved
	InfoHash spate.InfoHash
	PeerID   spate.PeerID
}

// Append appends the 68 bytes of the handshake to b.
func (h *Handshake) Append(b []byte) []byte {
	b = append(b, byte(len(protocolName)))
	b = append(b, protocolName...)
	b = append(b, h.Reserved[:]...)
	b = append(b, h.InfoHash[:]...)
	return append(b, h.PeerID[:]...)
}

// ParseHandshake parses a complete handshake.
func ParseHandshake(b []byte) (Handshake, error) {
	if err := CheckPrefix(b); err != nil {
		return Handshake{}, err
	}
	if len(b) != HandshakeLen {
		return Handshake{}, fmt.Errorf("handshake of %s, want %d", units.Plural(len(b), "byte"), HandshakeLen)
	}
	return Handshake{
		Reserved: Reserved(b[20:28]),
		InfoHash: spate.InfoHash(b[28:48]),
		PeerID:   spate.PeerID(b[48:68]),
	}, nil
}

// CheckPrefix returns [ErrNotBitTorrent] if b cannot be the start of a handshake. A
// listener can use it to drop other protocols as soon as the first byte arrives.
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
