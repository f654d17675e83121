// Package token makes and checks the write tokens of the DHT (BEP 5, BEP 44). A node gives a
// token to whoever asks for peers or items, and accepts writes only with a valid token. A
// token proves that its holder receives packets at its address.
//
// A token holds for one IP address and for every info-hash and target. Binding it to the
// info-hash as well would prove nothing more about the address, but would force a publisher
// of many torrents to ask for a token for each of them. The number of writes of an address is
// limited elsewhere. A token does not depend on the port, because a NAT may change it.
package token

import (
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"time"

	"spate/dht/internal/siphash"
)

const (
	// Size is the length of a token in bytes. Short tokens leave room for peers in replies.
	Size = 8

	// MaxAge is the age from which on a token is invalid. A token is valid for at least half
	// that time.
	MaxAge = 2 * period

	period = 5 * time.Minute // after it an address gets another token
)

// Issuer makes and checks tokens. It stores no tokens: a token is a MAC of the number of the
// current period and of the address. An Issuer is safe for concurrent use.
type Issuer struct {
	key   siphash.Key
	start time.Time
}

// New returns an Issuer with a random key. Its first period begins at start.
func New(key siphash.Key, start time.Time) *Issuer { return &Issuer{key: key, start: start} }

// Token returns a token for the node at address a.
func (s *Issuer) Token(now time.Time, a netip.Addr) [Size]byte { return s.mac(s.period(now), a) }

// Valid reports whether token was made for address a in this or the previous period. The time
// that it takes does not depend on the content of the token.
func (s *Issuer) Valid(now time.Time, a netip.Addr, token []byte) bool {
	n := s.period(now)
	current, previous := s.mac(n, a), s.mac(n-1, a)
	return subtle.ConstantTimeCompare(token, current[:])|subtle.ConstantTimeCompare(token, previous[:]) == 1
}

func (s *Issuer) period(now time.Time) int64 { return int64(now.Sub(s.start) / period) }

func (s *Issuer) mac(period int64, a netip.Addr) (token [Size]byte) {
	high, low := siphash.Words(a)
	binary.LittleEndian.PutUint64(token[:], siphash.Sum(s.key, uint64(period), high, low))
	return token
}
