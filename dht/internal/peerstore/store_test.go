package peerstore

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"spate"
	"spate/dht/internal/nodeid"
)

var start = time.Unix(1_700_000_000, 0)

func newStore(t testing.TB, v6 bool, o Options) *Store {
	t.Helper()
	if o.Random == nil {
		o.Random = rand.NewPCG(1, 2)
	}
	s, err := New(hash(0), v6, start, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// hash returns an info-hash whose distance from the node id hash(0) is n.
func hash(n uint64) (h [20]byte) {
	binary.BigEndian.PutUint64(h[12:], n)
	return nodeid.Distance(h, [20]byte([]byte("our node id is 20 by")))
}

// spread returns an info-hash whose distance is random but for its last bytes. Two consecutive
// numbers have the same first 8 bytes of the distance.
func spread(n uint64) [20]byte {
	h := hash(n)
	var d [20]byte
	binary.BigEndian.PutUint64(d[:], n/2*0x9e3779b97f4a7c15)
	return nodeid.Distance(h, d)
}

// addr4 returns addresses in different /24 networks, if n is below 65,536.
func addr4(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(n), byte(n >> 8), byte(n >> 16)}), uint16(n)|1)
}

// addr6 returns addresses in different /48 networks, if n is below 65,536.
func addr6(n int) netip.AddrPort {
	ip := [16]byte{0x20, 0x01, 0x0d, 0xb8, 4: byte(n), 5: byte(n >> 8), 6: byte(n >> 16), 15: 1}
	return netip.AddrPortFrom(netip.AddrFrom16(ip), uint16(n)|1)
}

func announce(t testing.TB, s *Store, now time.Time, h [20]byte, peer netip.AddrPort, seed bool) {
	t.Helper()
	if err := s.Announce(now, h, peer, seed); err != nil {
		t.Fatalf("Announce(%s): %v", peer, err)
	}
}

// values returns the peers that AppendValues returns.
func values(t testing.TB, s *Store, now time.Time, h [20]byte, size int, noseed bool) (peers []netip.AddrPort) {
	t.Helper()
	b := s.AppendValues(nil, now, h, size, noseed)
	if len(b) > max(size, 0) {
		t.Fatalf("AppendValues appended %d bytes, want at most %d", len(b), size)
	}
	head, n, parse := "6:", ValueLen4, spate.AppendPeers4
	if s.v6 {
		head, n, parse = "18:", ValueLen6, spate.AppendPeers6
	}
	for ; len(b) > 0; b = b[n:] {
		if len(b) < n || string(b[:len(head)]) != head {
			t.Fatalf("the values end with %q", b)
		}
		var err error
		if peers, err = parse(peers, b[len(head):n]); err != nil {
			t.Fatal(err)
		}
	}
	return peers
}

// TestPeersOfOneAddressAreOne checks that the last port and seed status of an IP address count
// (BEP 33).
func TestPeersOfOneAddressAreOne(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		s := newStore(t, v6, Options{})
		a := addr4(1)
		if v6 {
			a = addr6(1)
		}
		announce(t, s, start, hash(1), a, true)
		b := netip.AddrPortFrom(a.Addr(), 777)
		announce(t, s, start, hash(1), b, false)
		if got := values(t, s, start, hash(1), 1000, true); len(got) != 1 || got[0] != b {
			t.Errorf("got %v, want %v", got, b)
		}
		announce(t, s, start, hash(2), a, false)
		if s.Len() != 2 || s.Hashes() != 2 {
			t.Errorf("got %d peers of %d info-hashes, want 2 of 2", s.Len(), s.Hashes())
		}
		if got := values(t, s, start, hash(3), 1000, false); got != nil {
			t.Errorf("got %v of an info-hash without peers", got)
		}
	}
}

// TestAnnounceRejectsAddresses checks which addresses a peer cannot have.
func TestAnnounceRejectsAddresses(t *testing.T) {
	t.Parallel()
	s4, s6 := newStore(t, false, Options{}), newStore(t, true, Options{})
	for _, a := range []string{"0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "11.0.0.1:0", "[::]:1", "[ff02::1]:1", "[fe80::1]:1", "[2001:db8::1]:0"} {
		for _, s := range []*Store{s4, s6} {
			if err := s.Announce(start, hash(1), netip.MustParseAddrPort(a), false); !errors.Is(err, ErrAddress) {
				t.Errorf("Announce(%s) of a store with v6 %v: %v, want ErrAddress", a, s.v6, err)
			}
		}
	}
	for _, s := range []*Store{s4, s6} {
		for _, a := range []string{"11.0.0.1:1", "127.0.0.1:1", "[::ffff:11.0.0.1]:1", "[2001:db8::1]:1", "[::1]:1", "10.0.0.1:1"} {
			ap := netip.MustParseAddrPort(a)
			want := error(nil)
			if ap.Addr().Unmap().Is4() == s.v6 {
				want = ErrAddress
			}
			if err := s.Announce(start, hash(1), ap, false); !errors.Is(err, want) {
				t.Errorf("Announce(%s) of a store with v6 %v: %v, want %v", a, s.v6, err, want)
			}
		}
		if s.Len() != map[bool]int{false: 3, true: 2}[s.v6] {
			t.Errorf("the store with v6 %v has %d peers", s.v6, s.Len())
		}
	}
	if err := s4.Announce(start, hash(1), netip.AddrPort{}, false); !errors.Is(err, ErrAddress) {
		t.Errorf("Announce of the zero address: %v", err)
	}
}

// TestNewRejectsBadOptions checks the limits of options.
func TestNewRejectsBadOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{MaxPeers: -1}, {MaxPerHash: -1}, {Lifetime: -1}, {Lifetime: maxLifetime + 1}} {
		if _, err := New(hash(0), false, start, o); err == nil {
			t.Errorf("New accepts %+v", o)
		}
	}
}

// TestPeersExpire checks the lifetime, with and without sweeps, and after pauses in which the
// 15-bit times of the records wrap.
func TestPeersExpire(t *testing.T) {
	t.Parallel()
	wrap := (stampMask + 1) * stampUnit
	for _, age := range []time.Duration{0, time.Minute, 40 * time.Minute, 44 * time.Minute, 46 * time.Minute, 2 * time.Hour, wrap, wrap + time.Minute, 3*wrap + time.Minute} {
		s := newStore(t, false, Options{})
		now := start.Add(17*time.Hour + 50*time.Minute) // the times wrap 22 minutes later
		announce(t, s, now, hash(1), addr4(1), false)
		now = now.Add(age)
		want := 1
		if age >= 45*time.Minute {
			want = 0
		}
		if got := values(t, s, now, hash(1), 1000, false); len(got) != want {
			t.Errorf("a peer announced %v ago: got %v", age, got)
		}
		announce(t, s, now, hash(2), addr4(2), false)
		if s.Len() != want+1 || s.Hashes() != want+1 {
			t.Errorf("a peer announced %v ago: %d peers are left after a sweep, want %d", age, s.Len(), want+1)
		}
	}
}

// TestAnnounceRenewsPeers checks that a peer stays as long as it announces.
func TestAnnounceRenewsPeers(t *testing.T) {
	t.Parallel()
	s := newStore(t, false, Options{})
	now := start
	for range 100 {
		announce(t, s, now, hash(1), addr4(1), false)
		now = now.Add(30 * time.Minute)
		if got := values(t, s, now, hash(1), 1000, false); len(got) != 1 {
			t.Fatalf("the peer is gone after %v", now.Sub(start))
		}
	}
}

// TestFullStoreForgetsTheFurthest fills a store with spam, and checks that the info-hashes that
// are closest to our node id stay.
func TestFullStoreForgetsTheFurthest(t *testing.T) {
	t.Parallel()
	s := newStore(t, false, Options{MaxPeers: 500})
	order := rand.New(rand.NewPCG(3, 4)).Perm(5000)
	for _, n := range order {
		full := s.Full(hash(uint64(n)))
		err := s.Announce(start, hash(uint64(n)), addr4(n), false)
		if err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
		if full != (err != nil) {
			t.Fatalf("Full is %v, and Announce returned %v", full, err)
		}
	}
	if s.Len() != 500 || s.Hashes() != 500 {
		t.Errorf("got %d peers of %d info-hashes, want 500", s.Len(), s.Hashes())
	}
	for n := range 5000 {
		if got, want := len(values(t, s, start, hash(uint64(n)), 1000, false)), n < 500; (got == 1) != want {
			t.Fatalf("info-hash %d has %d peers", n, got)
		}
	}
}

// TestOneNetworkCannotFillTheStore lets one host announce 10,000 info-hashes next to our node id, and
// checks that the peers of others stay and that others can still announce.
func TestOneNetworkCannotFillTheStore(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		s := newStore(t, v6, Options{MaxPeers: 4000})
		others, spam := addr4, netip.MustParseAddr("192.0.2.1")
		if v6 {
			others, spam = addr6, netip.MustParseAddr("2001:db9::1")
		}
		for n := range 2000 {
			announce(t, s, start, hash(uint64(100_000+n)), others(n), false)
		}
		accepted := 0
		for n := range 10_000 {
			switch err := s.Announce(start, hash(uint64(n)), netip.AddrPortFrom(spam, 1), false); {
			case err == nil:
				accepted++
			case !errors.Is(err, ErrCrowded):
				t.Fatal(err)
			}
		}
		if accepted < 50 || accepted > 1000 {
			t.Errorf("%d spam entries are accepted, want some hundred", accepted)
		}
		for n := range 2200 { // renews those of before
			announce(t, s, start, hash(uint64(100_000+n)), others(n), false)
		}
		if s.Len() != 2200+accepted {
			t.Errorf("%d peers are stored, want %d", s.Len(), 2200+accepted)
		}
	}
}

// TestLoopbackIsNoNetwork checks that many peers of one machine can fill a store.
func TestLoopbackIsNoNetwork(t *testing.T) {
	t.Parallel()
	s4, s6 := newStore(t, false, Options{MaxPeers: 2000}), newStore(t, true, Options{MaxPeers: 2000})
	for n := range 2000 {
		announce(t, s4, start, hash(uint64(n)), netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 1), false)
		announce(t, s6, start, hash(uint64(n)), netip.AddrPortFrom(netip.IPv6Loopback(), 1), false)
	}
}

// TestFullStoreReplacesTheOldest checks that peers of the furthest info-hash replace each other.
func TestFullStoreReplacesTheOldest(t *testing.T) {
	t.Parallel()
	s := newStore(t, false, Options{MaxPeers: 20})
	for n := range 20 {
		announce(t, s, start.Add(time.Duration((n+13)%20)*stampUnit), hash(1), addr4(n), false)
	}
	announce(t, s, start.Add(40*time.Second), hash(1), addr4(100), false)
	for _, got := range values(t, s, start, hash(1), 1000, false) {
		if got == addr4(7) {
			t.Errorf("the oldest peer %v is still stored", got)
		}
	}
	if s.Len() != 20 {
		t.Errorf("got %d peers, want 20", s.Len())
	}
}

// TestOneTorrentIsBounded checks MaxPerHash, and that known peers can still announce.
func TestOneTorrentIsBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t, false, Options{MaxPerHash: 300})
	for n := range 300 {
		if s.Full(hash(1)) {
			t.Fatalf("Full after %d peers", n)
		}
		announce(t, s, start, hash(1), addr4(n), false)
	}
	if err := s.Announce(start, hash(1), addr4(300), false); !errors.Is(err, ErrSwarmFull) || !s.Full(hash(1)) {
		t.Errorf("Announce of one more: %v, Full: %v", err, s.Full(hash(1)))
	}
	announce(t, s, start, hash(1), addr4(5), true)
	announce(t, s, start, hash(2), addr4(300), false)
}

// TestOneIPv6SubnetIsBounded checks that a host with many addresses in a /64 does not crowd
// out other peers, and that the newest of its addresses stay.
func TestOneIPv6SubnetIsBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t, true, Options{})
	announce(t, s, start, hash(1), addr6(1), false)
	for n := range 1000 {
		ip := addr6(2).Addr().As16()
		binary.BigEndian.PutUint64(ip[8:], uint64(n*7919%1000))
		announce(t, s, start.Add(time.Duration(n)*stampUnit), hash(1), netip.AddrPortFrom(netip.AddrFrom16(ip), uint16(n+1)), false)
	}
	got := values(t, s, start.Add(1000*stampUnit), hash(1), 10_000, false)
	if len(got) != 1+maxPerSubnet {
		t.Fatalf("got %d peers, want %d", len(got), 1+maxPerSubnet)
	}
	for _, p := range got {
		if p != addr6(1) && p.Port() < 1000-maxPerSubnet {
			t.Errorf("%v, which is older, is still stored", p)
		}
	}
}

// TestSetSelfKeepsPeers changes our node id and checks that the same peers are found, and that
// the furthest from the new id go first.
func TestSetSelfKeepsPeers(t *testing.T) {
	t.Parallel()
	s := newStore(t, false, Options{MaxPeers: 1000})
	s.SetSelf(hash(5)) // an empty store
	s.SetSelf(hash(0))
	for n := range 1000 {
		announce(t, s, start, hash(uint64(n%100)), addr4(n), n%2 == 0)
	}
	s.SetSelf(hash(99))
	for h := range 100 {
		got := values(t, s, start, hash(uint64(h)), 1000, false)
		if len(got) != 10 {
			t.Fatalf("info-hash %d has %d peers, want 10", h, len(got))
		}
		for i := range 10 {
			if !slices.Contains(got, addr4(h+100*i)) {
				t.Errorf("info-hash %d has the peers %v, want %v among them", h, got, addr4(h+100*i))
			}
		}
	}
	if s.Len() != 1000 || s.Hashes() != 100 {
		t.Errorf("got %d peers of %d info-hashes", s.Len(), s.Hashes())
	}
	announce(t, s, start, hash(98), addr4(5000), false)
	furthest := hash(99 ^ 127) // 28, of the present ones
	if got := len(values(t, s, start, furthest, 1000, false)); got != 9 {
		t.Errorf("the furthest info-hash has %d peers, want 9", got)
	}
}
