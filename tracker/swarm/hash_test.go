package swarm

import (
	"encoding/binary"
	"testing"
)

// TestSipHash compares the rounds with the test vector of the SipHash paper (appendix A),
// which is for two rounds per word and four at the end.
func TestSipHash(t *testing.T) {
	var b [16]byte
	for i := range b {
		b[i] = byte(i)
	}
	s := newKeys(b).begin()
	m := b[:15]
	for _, w := range []uint64{binary.LittleEndian.Uint64(m), uint64(binary.LittleEndian.Uint64(b[8:])&(1<<56-1)) | 15<<56} {
		s.v3 ^= w
		s.round()
		s.round()
		s.v0 ^= w
	}
	s.v2 ^= 0xff
	for range 4 {
		s.round()
	}
	if got := s.v0 ^ s.v1 ^ s.v2 ^ s.v3; got != 0xa129ca6149be45e5 {
		t.Fatalf("%x", got)
	}
}

func TestHashAddr(t *testing.T) {
	k := newKeys([16]byte{9})
	at := func(b ...byte) uint64 { return k.hashAddr(b) }
	if at(10, 1, 2, 3, 0, 1) != at(10, 1, 2, 3, 9, 9) || at(10, 1, 2, 3, 0, 1) == at(10, 1, 2, 4, 0, 1) {
		t.Error("the hash of IPv4 does not depend on the address alone")
	}
	if at(127, 0, 0, 1, 0, 1) == at(127, 0, 0, 1, 0, 2) {
		t.Error("the hash of loopback does not depend on the port")
	}
	six := func(net, host, port byte) uint64 {
		return at(0x20, 1, 0, 0, 0, 0, 0, net, 0, 0, 0, 0, 0, 0, 0, host, 0, port)
	}
	if six(1, 2, 3) != six(1, 4, 5) || six(1, 2, 3) == six(2, 2, 3) {
		t.Error("the hash of IPv6 does not depend on the /64 alone")
	}
}

// TestAgeWraps checks ages when the 16-bit stamps wrap around.
func TestAgeWraps(t *testing.T) {
	for _, c := range []struct {
		now, stamp uint16
		want       int
	}{{5, 5, 0}, {5, 65530, 11}, {32405, 5, 32400}, {5, 6, 0}, {5, 5 + clockSlack, 0}, {5, 6 + clockSlack, 1 << 15}} {
		if got := age(c.now, c.stamp); got != c.want {
			t.Errorf("age(%d, %d) = %d, want %d", c.now, c.stamp, got, c.want)
		}
	}
}
