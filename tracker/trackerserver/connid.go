package trackerserver

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"spate/internal/atomicfile"
)

// ConnKey is the secret of UDP connection ids (BEP 15). It should stay the same after a
// restart, because requests with an id from before are not answered otherwise. See
// [LoadConnKey].
type ConnKey [16]byte

// A connection id is not stored. Its low byte is the number of the tick in which it was
// issued, and the rest is a MAC of the client's address and that number. An id is valid for
// two minutes, and up to 8 s more.
const (
	connTick  = 8 * time.Second
	connTicks = 15 // maximum age of a valid id in ticks
)

// NewConnKey returns a random key.
func NewConnKey() ConnKey {
	var k ConnKey
	rand.Read(k[:]) // crypto/rand.Read never returns an error
	return k
}

// maxConnKey limits the size of the file of a key in bytes.
const maxConnKey = 1 << 10

// LoadConnKey reads the key in the file at path. If there is no file, it writes a random
// key into a new one that only its owner may read. If the file is damaged, LoadConnKey renames
// it and returns an error with the new name. The next call then writes a new key.
func LoadConnKey(path string) (k ConnKey, err error) {
	err = atomicfile.Load(path, maxConnKey, func(b []byte) error {
		raw, err := hex.DecodeString(strings.TrimSpace(string(b)))
		if err != nil || len(raw) != len(k) {
			return fmt.Errorf("want %d hexadecimal digits", 2*len(k))
		}
		copy(k[:], raw)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		k = NewConnKey()
		err = atomicfile.Replace(path, []byte(hex.EncodeToString(k[:])+"\n"))
	}
	return k, err
}

// mac returns an id with a low byte of 0. It is SHA-256 of the key and the message, which
// is a secure MAC because both have a fixed length, and allocates nothing.
func (k *ConnKey) mac(addr netip.Addr, tick uint64) uint64 {
	var m [len(k) + 16 + 8]byte
	a := addr.As16()
	copy(m[:], k[:])
	copy(m[len(k):], a[:])
	binary.BigEndian.PutUint64(m[len(k)+16:], tick)
	sum := sha256.Sum256(m[:])
	return binary.BigEndian.Uint64(sum[:]) &^ 0xff
}

func connTickOf(now time.Time) uint64 { return uint64(now.Unix()) / uint64(connTick/time.Second) }

// id returns a connection id for addr.
func (k *ConnKey) id(now time.Time, addr netip.Addr) uint64 {
	tick := connTickOf(now)
	return k.mac(addr, tick) | tick&0xff
}

// valid reports whether id was issued for addr in the last two minutes. It also accepts an
// id of the next tick, in case the clock was set back.
func (k *ConnKey) valid(now time.Time, addr netip.Addr, id uint64) bool {
	current := connTickOf(now)
	age := uint8(current) - uint8(id)
	tick := current - uint64(age)
	if age == 0xff {
		tick = current + 1
	} else if age > connTicks {
		return false
	}
	var want, got [8]byte
	binary.BigEndian.PutUint64(want[:], k.mac(addr, tick))
	binary.BigEndian.PutUint64(got[:], id&^0xff)
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}
