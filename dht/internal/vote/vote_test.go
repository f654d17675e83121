package vote

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var (
	start = time.Unix(1_700_000_000, 0)
	home  = netip.MustParseAddrPort("203.0.113.7:6881")
	other = netip.MustParseAddrPort("198.51.100.9:6881")
)

// voter returns an address in the network with number n.
func voter(n int) netip.Addr { return netip.AddrFrom4([4]byte{byte(20 + n/200), byte(n % 200), 1, 1}) }

// add adds votes of the networks from to to-1.
func add(p *Poll, now time.Time, from, to int, observed netip.AddrPort) {
	for n := from; n < to; n++ {
		p.Add(now, voter(n), observed)
	}
}

func check(t *testing.T, p *Poll, now time.Time, want Result) {
	t.Helper()
	if got := p.Result(now); got != want {
		t.Errorf("after %v: got %+v, want %+v", now.Sub(start), got, want)
	}
}

// TestQuorumFindsTheAddress checks the first address, for both families.
func TestQuorumFindsTheAddress(t *testing.T) {
	t.Parallel()
	p := new(Poll)
	check(t, p, start, Result{})
	add(p, start, 0, quorum-1, home)
	check(t, p, start, Result{})
	p.Add(start, voter(99), netip.MustParseAddrPort("[::ffff:203.0.113.7]:6881"))
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881})

	p = new(Poll)
	home6 := netip.MustParseAddrPort("[2001:db8::7]:6881")
	for n := range quorum {
		check(t, p, start, Result{})
		p.Add(start, netip.MustParseAddr(fmt.Sprintf("2a0%x:1::1", n)), home6)
	}
	check(t, p, start, Result{Addr: home6.Addr(), Port: 6881})
}

// TestOneNetworkHasOneVote checks that the nodes of two networks cannot outvote those of several,
// neither when they are first nor later, however often they vote.
func TestOneNetworkHasOneVote(t *testing.T) {
	t.Parallel()
	p := new(Poll)
	lie := func() {
		for n := range 200 {
			p.Add(start, netip.AddrFrom4([4]byte{20, 7, byte(n), 1}), other)
			p.Add(start, netip.AddrFrom4([4]byte{20, 8, byte(n), 1}), other)
		}
	}
	lie()
	add(p, start, 10, 15, home)
	lie()
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881})
	add(p, start, 15, 100, home)
	lie()
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881})
	for n := range 200 {
		p.Add(start, netip.AddrFrom4([4]byte{20, 7, byte(n), 1}), other)
		check(t, p, start, Result{Addr: home.Addr(), Port: 6881})
	}
}

// TestNewestVoteOfANetworkCounts checks which of the votes of several nodes in a network counts.
func TestNewestVoteOfANetworkCounts(t *testing.T) {
	t.Parallel()
	p := new(Poll)
	add(p, start, 0, 6, home)
	for n := range 6 {
		neighbour := voter(n).Next()
		p.Add(start.Add(time.Second), neighbour, other)
	}
	check(t, p, start.Add(time.Second), Result{Addr: other.Addr(), Port: 6881})
}

// TestSmallDHTCountsNodes checks that the nodes of a DHT in one network find an address and see
// a change of it, and that one node there has one vote.
func TestSmallDHTCountsNodes(t *testing.T) {
	t.Parallel()
	p := new(Poll)
	neighbour := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{44, 1, 0, byte(n)}) }
	for range 20 {
		p.Add(start, neighbour(1), other)
	}
	check(t, p, start, Result{})
	for n := range 6 {
		p.Add(start, neighbour(n), home)
	}
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881})
	p.Add(start, neighbour(7), other)
	p.Add(start, neighbour(7), other)
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881})
	for n := range 6 {
		p.Add(start, neighbour(n), other)
	}
	check(t, p, start, Result{Addr: other.Addr(), Port: 6881})
}

// TestLiarsDoNotMoveTheAddress checks that a minority which agrees is only reported, and that the
// address stays while it wins no majority.
func TestLiarsDoNotMoveTheAddress(t *testing.T) {
	t.Parallel()
	p := new(Poll)
	add(p, start, 0, 12, home)
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881})
	add(p, start, 100, 103, other)
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881})
	add(p, start, 103, 108, other)
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881, Several: true})
}

// TestAddressChangesByMajority checks that a new address counts once more than half of the votes
// are for it, and that the old one does not come back by the votes that are left.
func TestAddressChangesByMajority(t *testing.T) {
	t.Parallel()
	p := new(Poll)
	add(p, start, 0, maxVotes, home)
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881})
	now := start.Add(time.Minute)
	add(p, now, 100, 100+maxVotes/2, other)
	check(t, p, now, Result{Addr: home.Addr(), Port: 6881, Several: true})
	add(p, now, 150, 151, other)
	check(t, p, now, Result{Addr: other.Addr(), Port: 6881, Several: true})
	add(p, now, 160, 180, other)
	check(t, p, now, Result{Addr: other.Addr(), Port: 6881})
}

// TestNATWithSeveralAddresses checks that the address stays while a NAT shows two of them in
// turn.
func TestNATWithSeveralAddresses(t *testing.T) {
	t.Parallel()
	p := new(Poll)
	first := netip.Addr{}
	for n := range 500 {
		now := start.Add(time.Duration(n) * 10 * time.Second)
		p.Add(now, voter(n), []netip.AddrPort{home, other}[n%2])
		got := p.Result(now)
		if !first.IsValid() {
			first = got.Addr
		}
		if got.Addr != first {
			t.Fatalf("vote %d: the address changes to %v", n, got.Addr)
		}
		if n >= 2*quorum && !got.Several {
			t.Fatalf("vote %d: two addresses are not recognized", n)
		}
	}
	if !first.IsValid() {
		t.Error("no address was found")
	}
}

// TestNATWithAPortForEachDestination checks that the port is 0 if nodes see different ones, and that
// a few liars do not hide it.
func TestNATWithAPortForEachDestination(t *testing.T) {
	t.Parallel()
	p := new(Poll)
	for n := range 10 {
		p.Add(start, voter(n), netip.AddrPortFrom(home.Addr(), uint16(2000+n)))
	}
	check(t, p, start, Result{Addr: home.Addr()})
	p = new(Poll)
	add(p, start, 0, 9, home)
	add(p, start, 9, 12, netip.AddrPortFrom(home.Addr(), 1))
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881})
	add(p, start, 12, 13, netip.AddrPortFrom(home.Addr(), 2))
	check(t, p, start, Result{Addr: home.Addr()})
}

// TestVotesExpire checks that the address becomes invalid without new votes.
func TestVotesExpire(t *testing.T) {
	t.Parallel()
	p := new(Poll)
	add(p, start, 0, 6, home)
	check(t, p, start, Result{Addr: home.Addr(), Port: 6881})
	p.Add(start.Add(time.Minute), voter(0), home)
	check(t, p, start.Add(lifetime), Result{Addr: home.Addr(), Port: 6881})
	check(t, p, start.Add(lifetime+time.Minute), Result{})
	if len(p.votes) != 0 {
		t.Errorf("%d votes are left", len(p.votes))
	}
}

// TestVotesAreBounded checks that new votes replace the oldest.
func TestVotesAreBounded(t *testing.T) {
	t.Parallel()
	p := new(Poll)
	for n := range 1000 {
		p.Add(start.Add(time.Duration(n)*time.Second), voter(n), home)
	}
	if len(p.votes) != maxVotes {
		t.Errorf("%d votes are kept, want %d", len(p.votes), maxVotes)
	}
	for _, v := range p.votes {
		if v.at.Before(start.Add((1000 - maxVotes) * time.Second)) {
			t.Errorf("a vote of %v is kept", v.at.Sub(start))
		}
	}
}

// TestAddIgnoresUselessVotes checks voters and addresses that say nothing about the external
// address.
func TestAddIgnoresUselessVotes(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"192.168.1.2", "203.0.113.7:1"}, {"127.0.0.1", "203.0.113.7:1"}, {"100.64.0.1", "203.0.113.7:1"}, {"fe80::1", "[2001:db8::1]:1"},
		{"20.1.1.1", "192.168.1.7:1"}, {"20.1.1.1", "100.64.1.7:1"}, {"20.1.1.1", "127.0.0.1:1"}, {"20.1.1.1", "0.0.0.0:1"},
		{"20.1.1.1", "224.0.0.1:1"}, {"20.1.1.1", "203.0.113.7:0"}, {"20.1.1.1", "[2001:db8::1]:1"}, {"2a01::1", "203.0.113.7:1"},
	} {
		p := new(Poll)
		p.Add(start, netip.MustParseAddr(c[0]), netip.MustParseAddrPort(c[1]))
		if len(p.votes) != 0 {
			t.Errorf("a vote of %s for %s counts", c[0], c[1])
		}
	}
	p := new(Poll)
	p.Add(start, netip.Addr{}, home)
	p.Add(start, voter(1), netip.AddrPort{})
	if len(p.votes) != 0 {
		t.Error("a vote without addresses counts")
	}
}
