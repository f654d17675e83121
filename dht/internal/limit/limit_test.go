package limit

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"spate/dht/internal/siphash"
)

var start = time.Unix(1_700_000_000, 0)

func newRates(t testing.TB, o Options) *Rates {
	t.Helper()
	r, err := NewRates(siphash.Key{1}, start, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func addr4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

// allowed returns how many of n events at one time are allowed.
func allowed(r *Rates, now time.Time, n int, addr func(i int) netip.Addr) (count int) {
	for i := range n {
		if r.Allow(now, addr(i), 1) {
			count++
		}
	}
	return count
}

// TestAddressGetsItsRate checks burst and rate of one address: of IPv4, of an IPv4-mapped form,
// and of all addresses of an IPv6 /64.
func TestAddressGetsItsRate(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]func(i int) netip.Addr{
		"IPv4": func(i int) netip.Addr {
			return netip.MustParseAddr([]string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2])
		},
		"IPv6": func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)) },
	} {
		r := newRates(t, Options{Address: Rate{10, 20}, Network: Rate{1000, 1000}})
		if got := allowed(r, start, 100, addr); got != 20 {
			t.Errorf("%s: %d events at once are allowed, want 20", name, got)
		}
		total := 0
		for ms := 1; ms <= 10_000; ms++ {
			total += allowed(r, start.Add(time.Duration(ms)*time.Millisecond), 3, addr)
		}
		if total != 100 {
			t.Errorf("%s: %d events in 10 s are allowed, want 100", name, total)
		}
		if got := allowed(r, start.Add(time.Hour), 100, addr); got != 20 {
			t.Errorf("%s: %d events at once are allowed after a pause, want 20", name, got)
		}
	}
}

// TestNetworkGetsItsRate checks that many addresses of a network share a limit, and that other
// networks do not.
func TestNetworkGetsItsRate(t *testing.T) {
	t.Parallel()
	r := newRates(t, Options{Address: Rate{10, 10}, Network: Rate{50, 50}})
	if got := allowed(r, start, 250, func(i int) netip.Addr { return addr4(0xc0000200 + uint32(i)) }); got != 50 {
		t.Errorf("%d events of a /24 are allowed, want 50", got)
	}
	if got := allowed(r, start, 5, func(int) netip.Addr { return addr4(0xc0000300) }); got != 5 {
		t.Errorf("%d events of the next /24 are allowed, want 5", got)
	}
	subnet := func(network string) func(i int) netip.Addr {
		return func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:%s:%x::1", network, 200*i)) }
	}
	if got := allowed(r, start, 250, subnet("7")); got != 50 {
		t.Errorf("%d events of a /48 are allowed, want 50", got)
	}
	if got := allowed(r, start, 5, subnet("8")); got != 5 {
		t.Errorf("%d events of the next /48 are allowed, want 5", got)
	}
}

// TestNetwork checks which addresses are in one network.
func TestNetwork(t *testing.T) {
	t.Parallel()
	seen := map[uint64]string{}
	for _, same := range [][]string{
		{"127.0.0.1", "::1", "::ffff:127.0.0.1"},
		{"192.0.2.0", "192.0.2.255", "::ffff:192.0.2.1"}, {"192.0.3.0"},
		{"2001:db8:1::", "2001:db8:1:ffff::1"}, {"2001:db8:2::"},
	} {
		first := Network(netip.MustParseAddr(same[0]))
		if seen[first] != "" {
			t.Errorf("%s and %s are in one network", same[0], seen[first])
		}
		seen[first] = same[0]
		for _, s := range same[1:] {
			if Network(netip.MustParseAddr(s)) != first {
				t.Errorf("%s and %s are in different networks", same[0], s)
			}
		}
	}
	if Network(netip.MustParseAddr("::1")) != 0 || Network(netip.Addr{}) != 0 {
		t.Error("loopback or the zero address has a network")
	}
}

// TestCostCounts checks that an event with a cost takes as much as so many events, and that a
// rejected one takes nothing.
func TestCostCounts(t *testing.T) {
	t.Parallel()
	r := newRates(t, Options{Address: Rate{1, 10}, Network: Rate{1, 100}})
	a := addr4(1)
	for i, want := range []struct {
		cost int
		ok   bool
	}{{11, false}, {6, true}, {5, false}, {4, true}, {1, false}} {
		if got := r.Allow(start, a, want.cost); got != want.ok {
			t.Errorf("event %d with cost %d: %v", i, want.cost, got)
		}
	}
}

// TestLoopbackHasNoLimit protects many nodes on one machine.
func TestLoopbackHasNoLimit(t *testing.T) {
	t.Parallel()
	r := newRates(t, Options{Address: Rate{1, 1}, Network: Rate{1, 1}})
	for _, a := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} {
		if got := allowed(r, start, 100, func(int) netip.Addr { return netip.MustParseAddr(a) }); got != 100 {
			t.Errorf("%d events of %s are allowed", got, a)
		}
	}
}

// TestFloodLimitsFewOthers checks that an attacker with 500 networks above their limits keeps
// almost no other address from its rate, and that the choice depends on the key.
func TestFloodLimitsFewOthers(t *testing.T) {
	t.Parallel()
	var limited [2]string
	for k := range limited {
		r, err := NewRates(siphash.Key{byte(k)}, start, Options{Address: Rate{1, 5}, Network: Rate{10, 10}, Cells: 4096})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 500 {
			allowed(r, start, 20, func(i int) netip.Addr { return addr4(0x0b000000 + uint32(n)<<8 + uint32(i)) })
		}
		count := 0
		for n := range 300 {
			if a := addr4(0x20000000 + uint32(n)<<8); !r.Allow(start, a, 1) {
				limited[k] += a.String()
				count++
			}
		}
		if count > 30 {
			t.Errorf("%d of 300 other networks are limited, want few", count)
		}
	}
	if limited[0] == limited[1] {
		t.Errorf("the same addresses are limited under two keys: %s", limited[0])
	}
}

// TestNewRatesRejectsBadOptions checks rates and sizes.
func TestNewRatesRejectsBadOptions(t *testing.T) {
	t.Parallel()
	good := Rate{1, 1}
	for _, o := range []Options{{}, {Address: good}, {Network: good}, {Address: Rate{0, 1}, Network: good}, {Address: Rate{1, 0}, Network: good},
		{Address: good, Network: good, Cells: -1}, {Address: good, Network: good, Cells: 1<<24 + 1}} {
		if _, err := NewRates(siphash.Key{}, start, o); err == nil {
			t.Errorf("NewRates accepts %+v", o)
		}
	}
	r := newRates(t, Options{Address: good, Network: good, Cells: 1})
	if got := allowed(r, start, 5, addrOf); got != 1 {
		t.Errorf("%d events are allowed with one cell, want 1", got)
	}
}

func addrOf(i int) netip.Addr { return addr4(uint32(i) << 8) }

// TestMaxReply checks the sizes of replies.
func TestMaxReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query  int
		proved bool
		want   int
	}{{0, false, 0}, {58, false, 232}, {100, false, 400}, {256, false, 1024}, {257, false, 1024}, {2000, false, 1024}, {58, true, 1024}} {
		if got := MaxReply(c.query, c.proved); got != c.want {
			t.Errorf("MaxReply(%d, %v) = %d, want %d", c.query, c.proved, got, c.want)
		}
	}
}

// TestProofHoldsForOneEndpoint checks that another port or address has no proof, and when the proof
// ends.
func TestProofHoldsForOneEndpoint(t *testing.T) {
	t.Parallel()
	p := NewProved(siphash.Key{1}, start, 1000)
	for _, s := range []string{"192.0.2.1:6881", "[2001:db8::1]:6881"} {
		a := netip.MustParseAddrPort(s)
		now := start.Add(time.Hour)
		p.Add(now, a)
		for age := time.Duration(0); age < 3*provedFor; age += time.Second {
			if got, want := p.Has(now.Add(age), a), age < provedFor; got != want {
				t.Fatalf("%s after %v: %v", s, age, got)
			}
		}
		if p.Has(now, netip.AddrPortFrom(a.Addr(), 6882)) || p.Has(now, netip.AddrPortFrom(a.Addr().Next(), 6881)) {
			t.Errorf("another endpoint has the proof of %s", s)
		}
	}
	if age(p.second(start), 0) < provedIn {
		t.Error("an empty entry is a proof")
	}
	if tiny := NewProved(siphash.Key{1}, start, 0); len(tiny.sets) != 1 {
		t.Errorf("%d sets, want one", len(tiny.sets))
	}
}

// TestProvedKeepsTheNewest checks that a full set forgets old proofs and not new ones, that a
// repeated proof takes no second entry, and that no other endpoint has a proof.
func TestProvedKeepsTheNewest(t *testing.T) {
	t.Parallel()
	p := NewProved(siphash.Key{1}, start, 4000)
	endpoint := func(n int) netip.AddrPort { return netip.AddrPortFrom(addr4(uint32(n)), 1) }
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 20_000 {
		now := start.Add(time.Duration(n) * 10 * time.Millisecond)
		p.Add(now, endpoint(n))
		p.Add(now, endpoint(n-r.IntN(min(n+1, 5))))
	}
	now, has := start.Add(200*time.Second), 0
	for n := 20_000 - 1000; n < 20_000; n++ {
		if p.Has(now, endpoint(n)) {
			has++
		}
	}
	if has < 970 {
		t.Errorf("%d of the last 1000 proofs are kept", has)
	}
	for n := 20_000; n < 120_000; n++ {
		if p.Has(now, endpoint(n)) {
			t.Fatalf("%v has a proof", endpoint(n))
		}
	}
}

func BenchmarkAllow(b *testing.B) {
	r := newRates(b, Options{Address: Rate{10, 20}, Network: Rate{100, 200}})
	for n := uint32(0); b.Loop(); n++ {
		r.Allow(start, addr4(n), 1)
	}
}
