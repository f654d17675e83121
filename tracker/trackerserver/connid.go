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
	"os"
	"strings"
	"time"

	"spate/internal/atomicfile"
)

// ConnKey is the secret of UDP connection ids. It must outlive a restart, or
// clients that hold an id take the tracker for broken: see [LoadConnKey].
type ConnKey [16]byte

// Connection ids are stateless (BEP 15): the low byte says in which tick the id
// was made, the rest is a MAC of the client's address and the tick. An id holds
// for two minutes, 8 s more at most.
const (
	connTick  = 8 * time.Second
	connTicks = 15 // the age up to which an id holds
)

// NewConnKey returns a random key.
func NewConnKey() ConnKey {
	var k ConnKey
	rand.Read(k[:]) // never fails: see crypto/rand
	return k
}

// LoadConnKey reads the key in the file at path, which only its owner may read,
// and makes the file where there is none.
func LoadConnKey(path string) (ConnKey, error) {
	b, err := os.ReadFile(path)
	switch {
	case err == nil:
		var k ConnKey
		raw, err := hex.DecodeString(strings.TrimSpace(string(b)))
		if err != nil || len(raw) != len(k) {
			return k, fmt.Errorf("key of connection ids %s: not %d hexadecimal digits; remove the file to have a new one", path, 2*len(k))
		}
		copy(k[:], raw)
		return k, nil
	case !errors.Is(err, fs.ErrNotExist):
		return ConnKey{}, err
	}
	k := NewConnKey()
	return k, atomicfile.Replace(path, []byte(hex.EncodeToString(k[:])+"\n"))
}

// mac is the upper 56 bits of an id. Key and message have a fixed length and
// fit one block of SHA-256, which is then as good a MAC as any and needs no
// memory.
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

// id makes a connection id for addr. The zero id is never made by chance worth
// mentioning, and no client minds it.
func (k *ConnKey) id(now time.Time, addr netip.Addr) uint64 {
	tick := connTickOf(now)
	return k.mac(addr, tick) | tick&0xff
}

// valid reports whether id was made for addr in the last two minutes. A clock
// that was set back by up to a tick does no harm.
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
