package mse

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"spate"
	"spate/internal/units"
)

// Method is a set of ways to send what follows the handshake.
type Method uint32

// The methods, as bits of crypto_provide and crypto_select.
const (
	Plaintext Method = 1 << iota // the data follows as it is
	RC4                          // the data is encrypted
)

const (
	maxPad = 512 // longest padding that is sent or accepted, in bytes
	// MaxInitial is the largest number of bytes that an initiator may send with its handshake.
	MaxInitial = 16 << 10
)

var (
	// ErrHandshake is the cause of every error for a handshake that is not valid.
	ErrHandshake = errors.New("not a valid encryption handshake")
	// ErrUnknownTorrent is the error of an Acceptor if nobody here has the torrent.
	ErrUnknownTorrent = errors.New("encryption handshake for an unknown torrent")
	// ErrNoMethod is returned if the two sides support no common method.
	ErrNoMethod = errors.New("no common encryption method")
)

var errPublicKey = fmt.Errorf("%w: bad public key", ErrHandshake)

var verification [8]byte // VC: eight zeros

// Result is what the two sides of a handshake agreed on.
type Result struct {
	Method   Method // one of Plaintext and RC4
	InfoHash spate.InfoHash
	Initial  []byte // what the initiator sent with its handshake; nil from an Initiator

	send, receive *stream
}

// newResult returns the result with the streams for a shared secret. send and receive are the
// names of their keys.
func newResult(hash spate.InfoHash, secret []byte, send, receive string) *Result {
	return &Result{InfoHash: hash, send: newStream(digest(send, secret, hash[:])), receive: newStream(digest(receive, secret, hash[:]))}
}

func compute(by func(func()), f func()) {
	if by == nil {
		f()
		return
	}
	by(f)
}

// Initiator makes handshakes as the side that dials.
type Initiator struct {
	InfoHash spate.InfoHash
	// Offer is the set of methods that the other side may select.
	Offer Method
	// Initial, of at most [MaxInitial] bytes, is sent encrypted with the handshake.
	Initial []byte
	// Compute runs a function that takes about a tenth of a millisecond of a processor, and
	// returns after it. It can bound how many run at a time. Nil runs it at once.
	Compute func(func())
}

// Handshake makes a handshake. The caller sets the deadline of rw. After an error nothing more
// can be read from rw.
func (i *Initiator) Handshake(rw io.ReadWriter) (*Result, error) {
	if len(i.Initial) > MaxInitial {
		return nil, fmt.Errorf("mse: initial data of %s", units.Plural(len(i.Initial), "byte"))
	}
	own := newSecret()
	var public, s [keyLen]byte
	compute(i.Compute, func() { public = own.public() })
	if _, err := rw.Write(append(public[:], pad()...)); err != nil {
		return nil, err
	}
	var theirs [keyLen]byte
	if _, err := io.ReadFull(rw, theirs[:]); err != nil {
		return nil, err
	}
	ok := false
	compute(i.Compute, func() { s, ok = own.shared(theirs) })
	if !ok {
		return nil, errPublicKey
	}
	r := newResult(i.InfoHash, s[:], "keyA", "keyB")

	ask := digest("req1", s[:])
	which, mask := digest("req2", i.InfoHash[:]), digest("req3", s[:])
	subtle.XORBytes(which, which, mask)
	ask = append(ask, which...)
	rest := append(verification[:len(verification):len(verification)], binary.BigEndian.AppendUint32(nil, uint32(i.Offer))...)
	rest = appendPadded(rest, pad())
	rest = binary.BigEndian.AppendUint16(rest, uint16(len(i.Initial)))
	rest = append(rest, i.Initial...)
	r.send.xor(rest, rest)
	if _, err := rw.Write(append(ask, rest...)); err != nil {
		return nil, err
	}

	expected := make([]byte, len(verification))
	r.receive.xor(expected, expected)
	if err := find(rw, expected); err != nil {
		return nil, err
	}
	b, err := r.read(rw, 4)
	if err != nil {
		return nil, err
	}
	r.Method = Method(binary.BigEndian.Uint32(b))
	if r.Method != Plaintext && r.Method != RC4 || r.Method&i.Offer == 0 {
		return nil, fmt.Errorf("%w: the answer selects %#x", ErrNoMethod, uint32(r.Method))
	}
	return r, r.skipPad(rw)
}

// Acceptor makes handshakes as the side that was dialled. Its functions must be safe for
// concurrent use if handshakes run at the same time.
type Acceptor struct {
	// Torrent returns the info-hash for the digest that [Digest] makes of it, or false if nobody
	// here has such a torrent.
	Torrent func(digest [sha1.Size]byte) (spate.InfoHash, bool)
	// Choose returns the method that is selected from those that are offered, or 0 for none.
	Choose func(offered Method) Method
	// Compute is that of [Initiator].
	Compute func(func())
}

// Handshake makes a handshake. begin holds bytes that were read from rw before, at most as many
// as a public key has. The caller sets the deadline of rw. After an error nothing more can be
// read from rw.
func (a *Acceptor) Handshake(rw io.ReadWriter, begin []byte) (*Result, error) {
	var theirs, public, s [keyLen]byte
	if _, err := io.ReadFull(rw, theirs[copy(theirs[:], begin):]); err != nil {
		return nil, err
	}
	own, ok := newSecret(), false
	compute(a.Compute, func() {
		public = own.public()
		s, ok = own.shared(theirs)
	})
	if !ok {
		return nil, errPublicKey
	}
	if _, err := rw.Write(append(public[:], pad()...)); err != nil {
		return nil, err
	}
	if err := find(rw, digest("req1", s[:])); err != nil {
		return nil, err
	}
	var which [sha1.Size]byte
	if _, err := io.ReadFull(rw, which[:]); err != nil {
		return nil, err
	}
	subtle.XORBytes(which[:], which[:], digest("req3", s[:]))
	hash, ok := a.Torrent(which)
	if !ok {
		return nil, ErrUnknownTorrent
	}
	r := newResult(hash, s[:], "keyB", "keyA")

	b, err := r.read(rw, len(verification)+4)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(b[:len(verification)], verification[:]) {
		return nil, fmt.Errorf("%w: wrong verification", ErrHandshake)
	}
	offered := Method(binary.BigEndian.Uint32(b[len(verification):]))
	if err := r.skipPad(rw); err != nil {
		return nil, err
	}
	if b, err = r.read(rw, 2); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > MaxInitial {
		return nil, fmt.Errorf("%w: initial data of %s", ErrHandshake, units.Plural(n, "byte"))
	}
	if r.Initial, err = r.read(rw, n); err != nil {
		return nil, err
	}
	r.Method = a.Choose(offered & (Plaintext | RC4))
	if r.Method != Plaintext && r.Method != RC4 || r.Method&offered == 0 {
		return nil, fmt.Errorf("%w: %#x is offered", ErrNoMethod, uint32(offered))
	}
	answer := append(verification[:len(verification):len(verification)], binary.BigEndian.AppendUint32(nil, uint32(r.Method))...)
	answer = appendPadded(answer, pad())
	r.send.xor(answer, answer)
	_, err = rw.Write(answer)
	return r, err
}

// Digest returns the digest of an info-hash by which an initiator names the torrent.
func Digest(hash spate.InfoHash) (d [sha1.Size]byte) {
	copy(d[:], digest("req2", hash[:]))
	return d
}

func digest(name string, parts ...[]byte) []byte {
	h := sha1.New()
	io.WriteString(h, name)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// pad returns up to maxPad random bytes.
func pad() []byte {
	var n [2]byte
	rand.Read(n[:])
	b := make([]byte, binary.BigEndian.Uint16(n[:])%(maxPad+1))
	rand.Read(b)
	return b
}

// appendPadded appends the length of a padding and the padding.
func appendPadded(b, padding []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(padding))), padding...)
}

// read reads n bytes and decrypts them.
func (r *Result) read(from io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(from, b)
	r.receive.xor(b, b)
	return b, err
}

// skipPad reads the length of a padding and the padding.
func (r *Result) skipPad(from io.Reader) error {
	b, err := r.read(from, 2)
	if err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > maxPad {
		return fmt.Errorf("%w: a padding of %s", ErrHandshake, units.Plural(n, "byte"))
	}
	_, err = r.read(from, n)
	return err
}

// find reads up to the end of want, which follows a padding of unknown length. It reads no byte
// that follows: as many bytes at a time as want must still have.
func find(from io.Reader, want []byte) error {
	var buf [maxPad + sha1.Size]byte
	seen := buf[:0]
	for {
		missing := len(want) - overlap(seen, want)
		if missing == 0 {
			return nil
		}
		if len(seen)+missing > maxPad+len(want) {
			return fmt.Errorf("%w: the padding does not end", ErrHandshake)
		}
		n := len(seen)
		seen = seen[:n+missing]
		if _, err := io.ReadFull(from, seen[n:]); err != nil {
			return err
		}
	}
}

// overlap returns the length of the longest end of seen that want begins with.
func overlap(seen, want []byte) int {
	for n := min(len(seen), len(want)); n > 0; n-- {
		if bytes.Equal(seen[len(seen)-n:], want[:n]) {
			return n
		}
	}
	return 0
}
