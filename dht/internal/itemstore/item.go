// Package itemstore stores the immutable and mutable items that other nodes put into the DHT
// (BEP 44), and makes and checks such items, among them torrents that change (BEP 46).
package itemstore

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha1"
	"fmt"

	"spate/bencode"
	"spate/internal/units"
)

// The limits of BEP 44 in bytes.
const (
	MaxValue = 1000 // encoded value
	MaxSalt  = 64
)

// The error codes of BEP 5 and BEP 44.
const (
	CodeServer           = 202 // server error
	CodeProtocol         = 203 // protocol error, such as invalid bencoding
	CodeValueTooBig      = 205
	CodeInvalidSignature = 206
	CodeSaltTooBig       = 207
	CodeCASMismatch      = 301
	CodeSeqTooLow        = 302
)

// Error is the reason why an item is rejected. A node sends it as an error message.
type Error struct {
	Code int
	Text string
}

// Error returns the reason and the code.
func (e *Error) Error() string { return fmt.Sprintf("DHT item: %s (error %d)", e.Text, e.Code) }

// Item is a value in the DHT. Key is nil if the item is immutable; then Salt, Seq and Sig have
// no meaning.
type Item struct {
	Value []byte // bencoded
	Key   []byte // ed25519 public key of 32 bytes
	Salt  []byte // distinguishes the items of one key; optional
	Seq   int64  // number of the version; not negative
	Sig   []byte // ed25519 signature of 64 bytes over Salt, Seq and Value
}

// Sign returns a mutable item with a signature. It returns an *Error if the value, the salt or
// the number is not allowed.
func Sign(key ed25519.PrivateKey, salt []byte, seq int64, value []byte) (*Item, error) {
	i := &Item{Value: value, Key: key.Public().(ed25519.PublicKey), Salt: salt, Seq: seq, Sig: make([]byte, ed25519.SignatureSize)}
	if err := i.check(); err != nil {
		return nil, err
	}
	i.Sig = ed25519.Sign(key, i.signed())
	return i, nil
}

// Target returns the identifier under which the item is stored: the SHA-1 of the value, or of
// the key and the salt.
func (i *Item) Target() [20]byte {
	if i.Key == nil {
		return sha1.Sum(i.Value)
	}
	return Target(i.Key, i.Salt)
}

// Target returns the identifier of the mutable item with a public key and a salt, which may be
// empty.
func Target(key, salt []byte) [20]byte { return sha1.Sum(append(bytes.Clone(key), salt...)) }

// Verify checks an item that a node returned for target. The caller sets the Salt that it asked
// for, because replies do not repeat it. Verify returns an *Error if the item is not one of
// target, or has no valid signature.
func (i *Item) Verify(target [20]byte) error {
	if err := i.check(); err != nil {
		return err
	}
	if i.Target() != target {
		return &Error{CodeProtocol, "the item belongs to another target"}
	}
	return i.verifySignature()
}

// Newer reports whether i is a later version than j. Both are items of one target. Every item is
// newer than nil.
func (i *Item) Newer(j *Item) bool { return j == nil || i.Key != nil && i.Seq > j.Seq }

// check checks everything except the signature.
func (i *Item) check() error {
	switch {
	case len(i.Value) > MaxValue:
		return &Error{CodeValueTooBig, "the value has more than " + units.Plural(MaxValue, "byte")}
	case !canonical(i.Value):
		return &Error{CodeProtocol, "the value is not valid bencoding"}
	case i.Key == nil:
		return nil
	case len(i.Key) != ed25519.PublicKeySize:
		return &Error{CodeProtocol, "the public key does not have 32 bytes"}
	case len(i.Sig) != ed25519.SignatureSize:
		return &Error{CodeInvalidSignature, "the signature does not have 64 bytes"}
	case len(i.Salt) > MaxSalt:
		return &Error{CodeSaltTooBig, "the salt has more than " + units.Plural(MaxSalt, "byte")}
	case i.Seq < 0:
		return &Error{CodeProtocol, "the sequence number is negative"}
	}
	return nil
}

// verifySignature checks the signature of an item that passed check. It takes about 50 µs.
func (i *Item) verifySignature() error {
	if i.Key != nil && !ed25519.Verify(i.Key, i.signed(), i.Sig) {
		return &Error{CodeInvalidSignature, "the signature is invalid"}
	}
	return nil
}

// signed returns what the signature covers.
func (i *Item) signed() []byte {
	b := make([]byte, 0, len(i.Salt)+len(i.Value)+48)
	if len(i.Salt) > 0 {
		b = bencode.AppendString(b, "salt")
		b = bencode.AppendString(b, i.Salt)
	}
	b = bencode.AppendString(b, "seq")
	b = bencode.AppendInt(b, i.Seq)
	b = bencode.AppendString(b, "v")
	return append(b, i.Value...)
}

// canonical reports whether b is one value in valid bencoding, with sorted and unique keys.
func canonical(b []byte) bool {
	d := bencode.NewDecoder(b, bencode.Options{Canonical: true})
	d.Skip()
	return d.Finish() == nil
}
