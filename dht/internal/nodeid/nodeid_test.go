package nodeid

import (
	"encoding/hex"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func parse(t *testing.T, s string) (id [20]byte) {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		t.Fatalf("bad identifier %q", s)
	}
	return [20]byte(b)
}

func random(r *rand.Rand) (id [20]byte) {
	for i := range id {
		id[i] = byte(r.Uint32())
	}
	return id
}

// vectors are those of BEP 42.
var vectors = []struct{ addr, id string }{
	{"124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"},
	{"21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"},
	{"65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"},
	{"84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"},
	{"43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"},
}

// TestVectorsOfBEP42 checks that the identifiers in BEP 42 are valid for their addresses, that
// no other address has them, and that Make produces them from their free bits.
func TestVectorsOfBEP42(t *testing.T) {
	for _, v := range vectors {
		id := parse(t, v.id)
		for _, other := range vectors {
			addr := netip.MustParseAddr(other.addr)
			if got, want := Valid(id, addr), v == other; got != want {
				t.Errorf("Valid(%s, %s) = %v", v.id, addr, got)
			}
		}
		if mapped := netip.MustParseAddr("::ffff:" + v.addr); !Valid(id, mapped) {
			t.Errorf("%s is not valid for %s", v.id, mapped)
		}
		free := id
		free[0], free[1], free[2] = ^id[0], ^id[1], ^id[2]&0xf8|id[2]&7
		if got := Make(netip.MustParseAddr(v.addr), free); got != id {
			t.Errorf("Make(%s) = %x, want %x", v.addr, got, id)
		}
	}
}

// TestIPv6UsesTheFirstHalf checks an identifier for an IPv6 address against the formula in
// BEP 42, and that only the first 64 bits of the address count.
func TestIPv6UsesTheFirstHalf(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	a, b := netip.MustParseAddr("2001:db8:85a3:1234::1"), netip.MustParseAddr("2001:db8:85a3:1234:ffff::2")
	// Another implementation of CRC-32C gives 0x077c85ad for the masked address with r = 5,
	// which is a001050805231234.
	var free [20]byte
	free[19] = 5
	id := Make(a, free)
	if got := hex.EncodeToString(id[:3]); got != "077c80" {
		t.Errorf("the identifier for %s starts with %s, want 077c80", a, got)
	}
	other := netip.MustParseAddr("2001:db8:85a3:1235::1")
	for range 100 {
		id := Make(a, random(r))
		if !Valid(id, a) || !Valid(id, b) {
			t.Fatalf("%x is not valid for %s and %s", id, a, b)
		}
		if Valid(id, other) {
			t.Fatalf("%x is valid for %s too", id, other)
		}
	}
}

// TestNodesBehindOneNATHaveManyIdentifiers checks that an address shared by 10,000 nodes, as
// behind a carrier's NAT, gives each of them a valid identifier of its own.
func TestNodesBehindOneNATHaveManyIdentifiers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	a := netip.MustParseAddr("203.0.113.7")
	ids, prefixes := map[[20]byte]bool{}, map[[2]byte]bool{}
	for range 10_000 {
		id := Make(a, random(r))
		if !Valid(id, a) {
			t.Fatalf("%x is not valid for %s", id, a)
		}
		ids[id], prefixes[[2]byte(id[:2])] = true, true
	}
	if len(ids) != 10_000 || len(prefixes) != 8 {
		t.Errorf("got %d identifiers with %d prefixes, want 10,000 with 8", len(ids), len(prefixes))
	}
}

// TestLocalAddressesAreExempt checks which addresses may have any identifier.
func TestLocalAddressesAreExempt(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for addr, want := range map[string]bool{
		"10.0.0.1": true, "172.16.0.1": true, "172.31.255.255": true, "192.168.1.1": true, "169.254.1.1": true,
		"127.0.0.1": true, "100.64.0.1": true, "100.127.255.255": true, "::ffff:10.0.0.1": true,
		"::1": true, "fe80::1": true, "fd00::1": true,
		"172.32.0.1": false, "11.0.0.1": false, "100.63.255.255": false, "100.128.0.0": false, "192.169.0.1": false,
		"2001:db8::1": false, "203.0.113.1": false,
	} {
		a := netip.MustParseAddr(addr)
		if got := Exempt(a); got != want {
			t.Errorf("Exempt(%s) = %v", addr, got)
		}
		valid := 0
		for range 50 {
			if Valid(random(r), a) {
				valid++
			}
		}
		if want && valid != 50 || !want && valid > 0 {
			t.Errorf("%d of 50 random identifiers are valid for %s", valid, addr)
		}
		id := random(r)
		if got := Make(a, id); want != (got == id) {
			t.Errorf("Make(%s, %x) = %x", addr, id, got)
		}
	}
	id := random(r)
	if Valid(id, netip.Addr{}) {
		t.Error("an identifier is valid for the zero address")
	}
	if got := Make(netip.Addr{}, id); got != id {
		t.Errorf("Make of the zero address returned %x, want %x", got, id)
	}
}

// TestDistanceAgreesWithBigIntegers compares Distance, Compare and CommonBits with
// arithmetic on big integers.
func TestDistanceAgreesWithBigIntegers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		target := random(r)
		a := WithPrefix(target, r.IntN(Bits+1), random(r))
		b := WithPrefix(target, r.IntN(Bits+1), random(r))
		if r.IntN(10) == 0 {
			b = a
		}
		number := func(id [20]byte) *big.Int { return new(big.Int).SetBytes(id[:]) }
		da := new(big.Int).Xor(number(target), number(a))
		db := new(big.Int).Xor(number(target), number(b))
		if number(Distance(target, a)).Cmp(da) != 0 {
			t.Fatalf("Distance(%x, %x) is not %x", target, a, da)
		}
		if got := Compare(target, a, b); got != da.Cmp(db) {
			t.Fatalf("Compare(%x, %x, %x) = %d", target, a, b, got)
		}
		if got := CommonBits(target, a); got != Bits-da.BitLen() {
			t.Fatalf("CommonBits(%x, %x) = %d, want %d", target, a, got, Bits-da.BitLen())
		}
	}
}

// TestWithPrefixKeepsBothParts checks where each bit of the result comes from.
func TestWithPrefixKeepsBothParts(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for n := range Bits + 1 {
		id := random(r)
		var inverted [20]byte
		for i, b := range id {
			inverted[i] = ^b
		}
		got := WithPrefix(id, n, inverted)
		if common := CommonBits(id, got); common != n {
			t.Fatalf("WithPrefix with %d bits keeps %d", n, common)
		}
		for bit := n; bit < Bits; bit++ {
			if (got[bit/8]^inverted[bit/8])<<(bit%8)&0x80 != 0 {
				t.Fatalf("WithPrefix with %d bits: bit %d does not come from random", n, bit)
			}
		}
	}
}

// TestNothingAllocates protects the speed of lookups and of the routing table.
func TestNothingAllocates(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	a, b, c := random(r), random(r), random(r)
	addr := netip.MustParseAddr("2001:db8::1")
	sum := 0
	allocs := testing.AllocsPerRun(100, func() {
		id := WithPrefix(Make(addr, a), 30, b)
		if Valid(id, addr) {
			sum++
		}
		d := Distance(id, c)
		sum += Compare(d, b, c) + CommonBits(a, id)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
