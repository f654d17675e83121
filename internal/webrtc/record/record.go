// Package record protects the packets of an open DTLS 1.2 connection with AES-128-GCM (RFC 6347,
// RFC 5288). The handshake is that of another package; [Import] takes its keys over. All records
// have epoch 1, because a connection of WebRTC never makes a second handshake.
//
// A [Sealer] and an [Opener] work in the buffers of the caller and allocate nothing.
package record

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
)

// Types of records (RFC 5246, 6.2.1).
const (
	TypeAlert     = 21
	TypeHandshake = 22
	TypeData      = 23
)

// Sizes of the parts of a record in bytes.
const (
	headerLen = 13 // type, version, epoch, sequence number, length
	nonceLen  = 8  // the part of the nonce that a record has
	tagLen    = 16

	// Before is the number of bytes of a record before its payload.
	Before = headerLen + nonceLen
	// Overhead is the number of bytes that a record has beyond its payload.
	Overhead = Before + tagLen
)

const (
	version = 0xfefd // DTLS 1.2
	epoch   = 1
	maxSeq  = 1<<48 - 1
	saltLen = 4
)

// Alerts (RFC 5246, 7.2).
const (
	alertLen    = 2
	alertFatal  = 2
	closeNotify = 0
)

// ErrUsedUp is returned when all sequence numbers are used.
var ErrUsedUp = errors.New("DTLS connection: all sequence numbers are used")

// half is the state of one direction. Its arrays are here so that calls of the cipher allocate
// nothing.
type half struct {
	aead  cipher.AEAD
	nonce [saltLen + nonceLen]byte // the salt, and the nonce of the current record
	extra [headerLen]byte          // additional data of the current record
}

// setExtra sets the additional data: epoch and sequence number, type, version, length of the payload.
func (h *half) setExtra(seq uint64, kind byte, n int) {
	binary.BigEndian.PutUint64(h.extra[:], seq)
	h.extra[8] = kind
	binary.BigEndian.PutUint16(h.extra[9:], version)
	binary.BigEndian.PutUint16(h.extra[11:], uint16(n))
}

// Sealer makes records. Calls must not overlap.
type Sealer struct {
	half
	next uint64 // the sequence number of the next record, without the epoch
}

// Seal makes a record of a type in place. b has [Before] bytes of any content, the payload of at
// least one byte, and a capacity of len(b) plus the rest of [Overhead]. The record is returned.
func (s *Sealer) Seal(kind byte, b []byte) ([]byte, error) {
	if s.next > maxSeq {
		return nil, ErrUsedUp
	}
	seq := uint64(epoch)<<48 | s.next
	s.next++
	n := len(b) - Before
	b[0] = kind
	binary.BigEndian.PutUint16(b[1:], version)
	binary.BigEndian.PutUint64(b[3:], seq)
	binary.BigEndian.PutUint16(b[11:], uint16(nonceLen+n+tagLen))
	binary.BigEndian.PutUint64(b[headerLen:], seq)
	copy(s.nonce[saltLen:], b[headerLen:Before])
	s.setExtra(seq, kind, n)
	return b[:Before+len(s.aead.Seal(b[Before:Before], s.nonce[:], b[Before:], s.extra[:]))], nil
}

// CloseNotify returns a new record that tells the other side that this side closes the connection.
func (s *Sealer) CloseNotify() ([]byte, error) {
	b := make([]byte, Before+alertLen, alertLen+Overhead)
	b[Before], b[Before+1] = 1, closeNotify
	return s.Seal(TypeAlert, b)
}

// Opener opens the records of the other side. Calls must not overlap.
type Opener struct {
	half
	seen window
}

// Open returns the type and the payload of the first record of a packet, and the records after it.
// It decrypts in place. ok is false for a record that is not authentic, was opened before, is older
// than the last 64, or has another epoch; the records after it can still be authentic.
func (o *Opener) Open(packet []byte) (kind byte, payload, rest []byte, ok bool) {
	if len(packet) < headerLen {
		return 0, nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(packet[11:]))
	if n > len(packet)-headerLen {
		return 0, nil, nil, false
	}
	b, rest := packet[:headerLen+n], packet[headerLen+n:]
	kind = b[0]
	seq := binary.BigEndian.Uint64(b[3:])
	if binary.BigEndian.Uint16(b[1:]) != version || seq>>48 != epoch || n < nonceLen+tagLen || !o.seen.isNew(seq&maxSeq) {
		return 0, nil, rest, false
	}
	copy(o.nonce[saltLen:], b[headerLen:Before])
	o.setExtra(seq, kind, n-nonceLen-tagLen)
	payload, err := o.aead.Open(b[Before:Before], o.nonce[:], b[Before:], o.extra[:])
	if err != nil {
		return 0, nil, rest, false
	}
	o.seen.add(seq & maxSeq)
	return kind, payload, rest, true
}

// Ends reports whether an alert ends the connection. Other alerts are warnings.
func Ends(alert []byte) bool {
	return len(alert) != alertLen || alert[0] == alertFatal || alert[1] == closeNotify
}

// window remembers which of the last 64 sequence numbers were seen (RFC 6347, 4.1.2.6).
type window struct {
	top  uint64 // the highest number that was seen, plus 1; 0 if there is none
	bits uint64 // bit i: top-1-i was seen
}

func (w *window) isNew(seq uint64) bool {
	if seq >= w.top {
		return true
	}
	age := w.top - 1 - seq
	return age < 64 && w.bits>>age&1 == 0
}

func (w *window) add(seq uint64) {
	if seq >= w.top {
		w.bits = w.bits<<(seq+1-w.top) | 1 // a shift by 64 or more clears all bits
		w.top = seq + 1
		return
	}
	w.bits |= 1 << (w.top - 1 - seq)
}
