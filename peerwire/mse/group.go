package mse

import (
	"crypto/rand"
	"math/big"
	"sync"
)

// keyLen is the length of a public key and of a shared secret in bytes.
const keyLen = 96

// exponentLen is the length of a secret exponent in bytes: the 160 bits of the specification.
const exponentLen = 20

// prime is the safe prime of 768 bits that all clients use; the generator is 2.
var prime, _ = new(big.Int).SetString("FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"+
	"020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6"+
	"F44C42E9A63A36210000000000090563", 16)

// powers holds 2^(d·16^k) for each digit d of an exponent in base 16 and each place k. With it a
// public key costs 40 multiplications instead of 160 squarings.
var powers = sync.OnceValue(func() *[2 * exponentLen][16]*big.Int {
	var t [2 * exponentLen][16]*big.Int
	base := big.NewInt(2)
	for k := range t {
		t[k][0] = big.NewInt(1)
		for d := 1; d < 16; d++ {
			t[k][d] = product(t[k][d-1], base)
		}
		base = product(t[k][15], base)
	}
	return &t
})

func product(a, b *big.Int) *big.Int {
	p := new(big.Int).Mul(a, b)
	return p.Mod(p, prime)
}

// secret is the exponent of one side of an exchange.
type secret [exponentLen]byte

func newSecret() (s secret) {
	rand.Read(s[:])
	return s
}

// public returns the public key of the secret.
func (s *secret) public() [keyLen]byte {
	t, key := powers(), big.NewInt(1)
	for k := range t {
		digit := s[exponentLen-1-k/2] >> (4 * (k % 2)) & 15
		key = product(key, t[k][digit])
	}
	return fixed(key)
}

// shared returns the secret that is shared with the owner of a public key, and false for a key
// with which the secret would be known to everybody.
func (s *secret) shared(theirs [keyLen]byte) ([keyLen]byte, bool) {
	y := new(big.Int).SetBytes(theirs[:])
	last := new(big.Int).Sub(prime, big.NewInt(1))
	if y.Cmp(big.NewInt(1)) <= 0 || y.Cmp(last) >= 0 {
		return [keyLen]byte{}, false
	}
	return fixed(y.Exp(y, new(big.Int).SetBytes(s[:]), prime)), true
}

func fixed(n *big.Int) (b [keyLen]byte) {
	n.FillBytes(b[:])
	return b
}
