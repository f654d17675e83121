package peerlist

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"spate/internal/netguard"
)

var start = time.Unix(1_800_000_000, 0)

func addrs(ss ...string) (as []netip.AddrPort) {
	for _, s := range ss {
		as = append(as, netip.MustParseAddrPort(s))
	}
	return as
}

func one(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// TestPriority checks the examples of BEP 40 and its rules for common prefixes, ports and
// IPv6.
func TestPriority(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want uint32
	}{
		{"123.213.32.10:0", "98.76.54.32:0", 0xec2d7224},
		{"123.213.32.10:0", "123.213.32.234:0", 0x99568189},
		{"[::ffff:123.213.32.10]:1", "98.76.54.32:2", 0xec2d7224},
		{"1.2.3.4:5", "[2001::1]:6", 0},
	} {
		if got := Priority(one(c.a), one(c.b)); got != c.want {
			t.Errorf("%s and %s: %08x, want %08x", c.a, c.b, got, c.want)
		}
		if got := Priority(one(c.b), one(c.a)); got != c.want {
			t.Errorf("%s and %s: %08x, want %08x", c.b, c.a, got, c.want)
		}
	}
	same := [][4]string{ // addresses a and b, a change of b that keeps the priority, and one that changes it
		{"10.1.2.3:1", "20.1.2.3:1", "20.1.168.169:1", "20.2.2.3:1"},                                    // the mask of the last two bytes is 55.55
		{"10.1.2.3:1", "10.1.9.3:1", "10.1.9.171:1", "10.1.11.3:1"},                                     // same /16: the whole third byte counts
		{"10.1.2.3:1", "10.1.2.9:1", "10.1.2.9:2", "10.1.2.11:1"},                                       // same /24: every bit counts
		{"10.1.2.3:1", "10.1.2.3:9", "10.1.2.3:9", "10.1.2.3:8"},                                        // same address: the ports count
		{"[2001:db8:1::1]:1", "[2001:db8:2::1]:1", "[2001:db8:2:aaaa::1]:1", "[2001:db8:2:1::1]:1"},     // the whole first 48 bits count
		{"[2001:db8:1::1]:1", "[2001:db8:1:100::1]:1", "[2001:db8:1:1aa::1]:1", "[2001:db8:1:300::]:1"}, // same /48: 56 bits count
		{"[2001:db8:1::1]:1", "[2001:db8:1:1::1]:1", "[2001:db8:1:1:aaaa::1]:1", "[2001:db8:1:3::1]:1"}, // same /56: 64 bits count
	}
	for _, c := range same {
		base := Priority(one(c[0]), one(c[1]))
		if got := Priority(one(c[0]), one(c[2])); got != base {
			t.Errorf("%s with %s and %s: %08x and %08x", c[0], c[1], c[2], base, got)
		}
		if got := Priority(one(c[0]), one(c[3])); got == base {
			t.Errorf("%s with %s and %s: both %08x", c[0], c[1], c[3], base)
		}
	}
}

// TestUsable checks for each source which addresses are usable.
func TestUsable(t *testing.T) {
	l := New(Options{Self: one("5.6.7.8:6881")})
	l.SetOwn(netip.MustParseAddr("2a00::1"))
	l.SetOwn(netip.Addr{})
	l.AddSelf(one("5.6.7.9:1"))
	local := New(Options{AllowLocal: true, Self: one("0.0.0.0:6881")})
	for _, c := range []struct {
		addr                string
		remote, user, local bool
	}{
		{"9.9.9.9:6881", true, true, true}, {"[2a01::1]:6881", true, true, true}, {"[::ffff:9.9.9.9]:1", true, true, true},
		{"192.168.1.1:80", true, true, true}, {"169.254.1.1:80", true, true, true}, {"[fd00::1]:80", true, true, true},
		{"9.9.9.9:0", false, false, false}, {"0.0.0.0:5", false, false, false}, {"[::]:5", false, false, false},
		{"0.1.2.3:5", false, false, false}, {"224.0.0.1:5", false, false, false}, {"255.255.255.255:5", false, false, false},
		{"240.1.1.1:5", false, false, false}, {"[ff02::1]:5", false, false, false}, {"[fe80::1]:5", false, false, false},
		{"[fe80::1%eth0]:5", true, true, true}, {"[fe80::a9fe:a9fe%eth0]:80", false, true, false}, {"[ff02::1%eth0]:5", false, false, false},
		{"[fe80::1%eth0]:0", false, false, false},
		{"127.0.0.1:5", false, true, true}, {"[::1]:5", false, true, true}, {"[::ffff:127.0.0.1]:5", false, true, true},
		{"[64:ff9b::7f00:1]:5", false, true, true}, {"[2002:7f00:1::]:5", false, true, true},
		{"169.254.169.254:80", false, true, false}, {"[::ffff:169.254.169.254]:80", false, true, false}, {"169.254.170.2:80", false, true, false},
		{"168.63.129.16:80", false, true, false}, {"100.100.100.200:80", false, true, false}, {"[fd00:ec2::254]:80", false, true, false},
		{"[64:ff9b::a9fe:a9fe]:80", false, true, false}, {"[2002:a9fe:a9fe::1]:80", false, true, false}, {"192.0.0.192:80", false, true, false},
		{"[64:ff9b::e000:1]:5", false, false, false}, {"[100::1]:5", false, false, false}, {"[64:ff9b::909:909]:5", true, true, true},
		{"127.0.0.1:6881", false, true, false}, {"[::1]:6881", false, true, false},
		{"5.6.7.8:6881", false, false, true}, {"5.6.7.8:6882", true, true, true}, {"[2a00::1]:6881", false, false, true},
		{"5.6.7.9:1", false, false, true},
		{"9.9.9.9:22", false, true, false}, {"9.9.9.9:25", false, true, false}, {"[2a01::1]:53", false, true, false}, {"192.168.1.1:25", false, true, false},
		{"[::ffff:9.9.9.9]:6667", false, true, false}, {"9.9.9.9:443", true, true, true}, {"9.9.9.9:6969", true, true, true},
	} {
		a := one(c.addr)
		if got := l.Usable(a, SourcePEX); got != c.remote {
			t.Errorf("%s from a peer: %v", a, got)
		}
		if got := l.Usable(a, SourceManual); got != c.user {
			t.Errorf("%s from the user: %v", a, got)
		}
		if got := l.Usable(a, SourceLink); got != c.remote {
			t.Errorf("%s from a magnet link: %v", a, got)
		}
		if got := l.Usable(a, SourceCaller); got != (c.remote || c.user && netguard.KindOf(a.Addr()) == netguard.Loopback) {
			t.Errorf("%s from the caller: %v", a, got)
		}
		if got := local.Usable(a, SourceTracker); got != c.local {
			t.Errorf("%s with AllowLocal: %v", a, got)
		}
	}
	if l.Usable(netip.AddrPort{}, SourceManual) || l.Add([]netip.AddrPort{{}}, SourceManual) != 0 {
		t.Error("the zero address is usable")
	}
}

// TestSourcesOfPrivateTorrent checks from which sources a private torrent takes candidates
// (BEP 27).
func TestSourcesOfPrivateTorrent(t *testing.T) {
	l := New(Options{Private: true})
	want := map[Source]bool{SourceTracker: true, SourceIncoming: true, SourceLink: true, SourceLocalTracker: true, SourceCaller: true, SourceManual: true}
	for src := SourcePEX; src <= SourceManual; src++ {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, 9, byte(src)}), 1)
		if taken := l.Add([]netip.AddrPort{a}, src) == 1; taken != want[src] || src.ForPrivate() != want[src] {
			t.Errorf("%v: taken %v, want %v", src, taken, want[src])
		}
	}
}

// TestOwnAddressIsNoCandidate checks that our own address with the advertised port is not a
// candidate, and that the priorities are counted with that port.
func TestOwnAddressIsNoCandidate(t *testing.T) {
	own := one("9.9.9.9:6881")
	l := New(Options{Self: own})
	other, mapped := one("9.9.9.9:7000"), one("9.9.9.9:7001")
	l.Add([]netip.AddrPort{other, mapped}, SourceTracker)
	l.SetAdvertised(7001)
	if got := l.Next(start, 2); !slices.Equal(got, []netip.AddrPort{other}) {
		t.Errorf("candidates %v, want %v", got, other)
	}
	if got, want := l.find(other).prio, Priority(mapped, other); got != want {
		t.Errorf("priority %08x, want %08x", got, want)
	}
	if l.Usable(own, SourceTracker) || l.Usable(mapped, SourceTracker) {
		t.Error("our own address is usable")
	}
	l.SetAdvertised(0)
	if !l.Usable(mapped, SourceTracker) {
		t.Error("an address with a port that is no longer ours is not usable")
	}
}

// TestOrderOfCandidates checks that failures count first, then the source, then the
// priority of BEP 40.
func TestOrderOfCandidates(t *testing.T) {
	l := New(Options{Self: one("123.213.32.10:1")})
	l.Add(addrs("1.1.1.1:1", "1.1.1.2:1"), SourcePEX)
	l.Add(addrs("98.76.54.32:1", "123.213.32.234:1"), SourceTracker)
	l.Add(addrs("1.1.1.2:1", "3.3.3.3:1"), SourceManual)
	l.Add(addrs("1.1.1.2:1"), SourceDHT)
	l.Next(start, 1)
	l.Failed(one("3.3.3.3:1"), start)
	l.Failed(one("1.1.1.2:1"), start)
	got := slices.Clone(l.Next(start.Add(time.Hour), 10))
	if want := addrs("98.76.54.32:1", "123.213.32.234:1", "1.1.1.1:1"); !slices.Equal(got[:3], want) || len(got) != 5 {
		t.Errorf("%v, want %v first", got, want)
	}
	if len(l.Next(start.Add(time.Hour), 10)) != 0 {
		t.Error("given twice")
	}
	l.Unused(got[1])
	if again := l.Next(start.Add(time.Hour), 10); !slices.Equal(again, got[1:2]) {
		t.Errorf("taken back: %v", again)
	}
	if SourceLSD.String() != "lsd" || Source(99).String() != "unknown" {
		t.Error("the name of a source is wrong")
	}
}

// TestFamiliesAlternate checks that a machine without working IPv6 soon reaches its IPv4
// peers, and a machine without working IPv4 its IPv6 peers.
func TestFamiliesAlternate(t *testing.T) {
	l := New(Options{Seed: 1})
	for i := range 20 {
		l.Add([]netip.AddrPort{
			netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, 9, byte(i)}), 9),
			netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 4, 15: byte(i)}), 9),
		}, SourceTracker)
	}
	l.Add(addrs("[2001:400::77]:9", "[2001:400::78]:9"), SourceManual)
	got := l.Next(start, 12)
	if !got[0].Addr().Is6() || !got[1].Addr().Is6() {
		t.Errorf("the user's own are %v", got[:2])
	}
	for i := 3; i < len(got); i++ {
		if got[i].Addr().Is6() == got[i-1].Addr().Is6() {
			t.Fatalf("two of one family in a row: %v", got)
		}
	}
}

// TestPauses checks the pauses after failures and connections.
func TestPauses(t *testing.T) {
	l := New(Options{})
	a, m := one("9.9.9.9:9"), one("8.8.8.8:8")
	l.Add([]netip.AddrPort{a}, SourceTracker)
	l.Add([]netip.AddrPort{m}, SourceManual)
	now := start
	wait := func(a netip.AddrPort) time.Duration { // returns the time until Next returns a again
		for d := time.Duration(0); d < 24*time.Hour; d += time.Second {
			for _, b := range l.Next(now.Add(d), 2) {
				if b == a {
					return d
				}
				l.Unused(b)
			}
			if l.find(a) == nil {
				return -1
			}
		}
		return -2
	}
	wait(a)
	for i, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, -1} {
		l.Failed(a, now)
		if got := wait(a); got != want {
			t.Errorf("pause after %d failures: %v, want %v", i+1, got, want)
		}
	}
	wait(m)
	for range 20 {
		l.Failed(m, now)
	}
	if got := wait(m); got != maxChosenPause {
		t.Errorf("the user's own after 20 failures: %v", got)
	}
	l.Connected(m)
	for i, want := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second} {
		l.Disconnected(m, now, OutcomeUseless)
		if got := wait(m); got != want {
			t.Errorf("pause after %d useless connections: %v, want %v", i+1, got, want)
		}
	}
	f := one("7.7.7.7:7")
	l.Add([]netip.AddrPort{f}, SourceTracker)
	wait(f)
	for i, want := range []time.Duration{1, 1, 2, 2, 4, 4} {
		l.Disconnected(f, now, OutcomeFull)
		if got := wait(f); got != want*time.Second {
			t.Errorf("pause after the peer was full %d times: %v, want %v", i+1, got, want*time.Second)
		}
	}
	l.Disconnected(m, now, OutcomeUseful)
	if got := wait(m); got != chosenPause {
		t.Errorf("pause after a useful connection: %v", got)
	}
	l.Disconnected(m, now, OutcomeBroken)
	if got := wait(m); got != 4*time.Second {
		t.Errorf("pause after a broken one: %v", got)
	}
	for range 50 {
		l.Disconnected(m, now, OutcomeDuplicate)
	}
	if got := wait(m); got != maxChosenPause {
		t.Errorf("pause after duplicates: %v", got)
	}
}

// TestHeardEndsAPause checks that a peer that announces itself is tried at once, even by a
// seed, but only a few times.
func TestHeardEndsAPause(t *testing.T) {
	l := New(Options{Seed: 1})
	l.SetSeeding(true)
	a := one("192.168.1.9:9")
	ready := func() bool { return len(l.Next(start, 1)) == 1 }
	l.Heard(a, start) // does nothing, because a is not a candidate
	l.Add([]netip.AddrPort{a}, SourceLSD)
	ends := []func(){
		func() { l.Disconnected(a, start, OutcomeUseful) },
		func() { l.Disconnected(a, start, OutcomeUseful); l.SetSeed(a, true) },
		func() { l.Failed(a, start) },
		func() { l.Disconnected(a, start, OutcomeDuplicate) },
		func() { l.Disconnected(a, start, OutcomeUseless) },
	}
	for i, end := range append(ends, ends[4]) {
		l.Heard(a, start)
		if !ready() {
			t.Fatalf("%d: not returned", i)
		}
		end()
		if ready() {
			t.Fatalf("%d: no pause", i)
		}
	}
	l.Heard(a, start)
	if ready() {
		t.Error("each announcement ends a pause")
	}
}

// TestCallsForConnectedCandidate checks the effect of each call on a connected candidate.
func TestCallsForConnectedCandidate(t *testing.T) {
	l := New(Options{})
	a := one("9.9.9.9:9")
	if !l.Connected(a) || l.Len() != 0 {
		t.Error("a connection to an unknown address became a candidate")
	}
	l.Add([]netip.AddrPort{a}, SourceIncoming)
	if !l.Connected(a) || l.Connected(a) {
		t.Error("two connections to one address are allowed")
	}
	l.Disconnected(a, start, OutcomeDuplicate) // the second connection ended
	if l.Connected(a) {
		t.Error("the end of the second connection counted for the first")
	}
	l.Unused(a)
	if len(l.Next(start, 1)) != 0 || l.Len() != 1 {
		t.Error("a connected candidate was returned or forgotten")
	}
	l.Disconnected(a, start, OutcomeSelf)
	if l.Len() != 0 || l.Add([]netip.AddrPort{a}, SourceManual) != 0 {
		t.Error("our own address stays a candidate")
	}
	l.Disconnected(one("7.7.7.7:7"), start, OutcomeUseful)
	l.Failed(one("7.7.7.7:7"), start)
	l.SetSeed(one("7.7.7.7:7"), true)
}

// TestTakenCandidateIsNotReturned checks that Next does not return a candidate that was
// taken before Unused is called for it, and that a connected candidate stays connected.
func TestTakenCandidateIsNotReturned(t *testing.T) {
	l := New(Options{})
	a, other := one("1.1.1.1:1"), one("2.2.2.2:1")
	l.Take(a) // does nothing, because a is not a candidate
	l.Add([]netip.AddrPort{a, other}, SourceTracker)
	l.Take(one("[::ffff:1.1.1.1]:1"))
	if got := l.Next(start, 10); !slices.Equal(got, []netip.AddrPort{other}) {
		t.Errorf("returned while another was taken: %v", got)
	}
	l.Unused(a)
	if got := l.Next(start, 10); !slices.Equal(got, []netip.AddrPort{a}) {
		t.Errorf("returned after Unused: %v", got)
	}
	l.Connected(a)
	l.Take(a)
	l.Unused(a)
	if l.Connected(a) {
		t.Error("a connected candidate was taken")
	}
}

// TestSeedDoesNotConnectToSeeds checks that a seed does not connect to seeds.
func TestSeedDoesNotConnectToSeeds(t *testing.T) {
	l := New(Options{})
	a, b := one("9.9.9.9:9"), one("8.8.8.8:8")
	l.Add([]netip.AddrPort{a, b}, SourceTracker)
	l.SetSeed(a, true)
	l.SetSeeding(true)
	if got := l.Next(start, 5); !slices.Equal(got, []netip.AddrPort{b}) {
		t.Errorf("a seed connects to %v", got)
	}
	l.SetSeeding(false)
	if got := l.Next(start, 5); !slices.Equal(got, []netip.AddrPort{a}) {
		t.Errorf("a leecher connects to %v", got)
	}
}

// TestBan checks which addresses a ban covers, and how many bans are kept.
func TestBan(t *testing.T) {
	l := New(Options{AllowLocal: true})
	l.Add(addrs("9.9.9.9:1", "9.9.9.9:2", "9.9.9.8:1", "[2a00::1]:1", "[2a00::2]:1", "[2a00:0:0:1::1]:1", "[fd00::1]:1", "[fd00::2]:1", "127.0.0.1:1", "127.0.0.1:2"), SourceTracker)
	for _, a := range addrs("9.9.9.9:5", "[2a00::7]:5", "[fd00::1]:9", "127.0.0.1:1", "[::ffff:9.9.9.9]:5") {
		l.Ban(a)
	}
	var left []string
	for _, a := range l.Next(start, 20) {
		left = append(left, a.String())
	}
	slices.Sort(left)
	if want := []string{"127.0.0.1:2", "9.9.9.8:1", "[2a00:0:0:1::1]:1", "[fd00::2]:1"}; !slices.Equal(left, want) {
		t.Errorf("candidates left are %v, want %v", left, want)
	}
	if !l.Banned(one("9.9.9.9:7")) || l.Banned(one("127.0.0.1:2")) || l.Add(addrs("9.9.9.9:3"), SourceManual) != 0 {
		t.Error("a ban covers the wrong addresses")
	}
	for i := range maxBans + 10 {
		l.Ban(netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 1))
	}
	l.Ban(netip.AddrPort{})
	if len(l.banned) != maxBans || len(l.banOrder) != maxBans || l.Banned(one("9.9.9.9:7")) || !l.Banned(one("11.0.0.100:1")) {
		t.Errorf("%d bans", len(l.banned))
	}
}

// TestFullList checks that a better candidate replaces the worst idle one of a full list, and
// that candidates in use stay.
func TestFullList(t *testing.T) {
	l := New(Options{Max: 100})
	var busy []netip.AddrPort
	for i := range 100 {
		l.Add([]netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, 9, byte(i)}), 9)}, SourcePEX)
	}
	busy = append(busy, l.Next(start, 40)...)
	for i := range 200 {
		l.Add([]netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 8, 8, byte(i)}), 8)}, SourceTracker)
	}
	if l.Len() != 100 {
		t.Fatalf("%d candidates", l.Len())
	}
	for _, a := range busy {
		if l.find(a) == nil {
			t.Errorf("%v was dropped while in use", a)
		}
	}
	if got := l.Next(start, 100); len(got) != 60 || slices.ContainsFunc(got, func(a netip.AddrPort) bool { return a.Port() == 9 }) {
		t.Errorf("worse candidates stayed: %v", got)
	}
	if l.Add(addrs("7.7.7.7:7"), SourcePEX) != 0 {
		t.Error("a candidate was added while all were in use")
	}
}

// model is a candidate in the simple list with which List is compared.
type model struct {
	prio     uint32
	source   Source
	failures int
	useless  int
	state    state
	retry    time.Time
	seed     bool
}

// TestAgainstModel compares the list with a simple one over random calls.
func TestAgainstModel(t *testing.T) {
	pool := make([]netip.AddrPort, 30)
	for i := range pool {
		pool[i] = one(fmt.Sprintf("9.%d.4.4:%d", 10+i, 1001+i)) // each address has its own priority
	}
	rapid.Check(t, func(t *rapid.T) {
		own := one("9.1.2.3:9")
		l := New(Options{Self: own})
		m := map[netip.AddrPort]*model{}
		now, seeding, gone := start, false, map[netip.AddrPort]bool{}
		draw := func(t *rapid.T) netip.AddrPort { return rapid.SampledFrom(pool).Draw(t, "addr") }
		pause := func(c *model, first time.Duration, n int, limit time.Duration) time.Duration {
			if c.source >= SourceLink {
				first, limit = chosenPause, maxChosenPause
			}
			return min(limit, first<<n)
		}
		fail := func(a netip.AddrPort, by int) {
			c := m[a]
			c.state = idle
			c.failures += by
			if c.failures >= maxFailures && c.source < SourceLink {
				delete(m, a)
				return
			}
			c.retry = now.Add(pause(c, failurePause, min(20, c.failures-1), maxPause))
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if len(m) != l.Len() || len(l.index) != len(l.all) {
					t.Fatalf("%d candidates of %d", l.Len(), len(m))
				}
				for i, c := range l.all {
					w := m[c.addr]
					if l.index[c.addr] != i || w == nil || w.state != c.state || w.source != c.source || int32(w.failures) != c.failures {
						t.Fatalf("%+v, want %+v", c, w)
					}
				}
			},
			"add": func(t *rapid.T) {
				a, src := draw(t), Source(rapid.IntRange(0, int(SourceManual)).Draw(t, "source"))
				n := l.Add([]netip.AddrPort{a}, src)
				if c := m[a]; c != nil {
					c.source = max(c.source, src)
				} else if !gone[a] {
					m[a] = &model{prio: Priority(own, a), source: src}
					n--
				}
				if n != 0 {
					t.Fatalf("added %v: %d", a, n)
				}
			},
			"next": func(t *rapid.T) {
				var want []netip.AddrPort
				for a, c := range m {
					if c.state == idle && !now.Before(c.retry) && !(c.seed && seeding) {
						want = append(want, a)
					}
				}
				slices.SortFunc(want, func(a, b netip.AddrPort) int {
					x, y := m[a], m[b]
					return cmp.Or(cmp.Compare(x.failures, y.failures), cmp.Compare(y.source, x.source), cmp.Compare(y.prio, x.prio))
				})
				n := rapid.IntRange(0, 5).Draw(t, "n")
				want = want[:min(n, len(want))]
				if got := l.Next(now, n); !slices.Equal(got, want) {
					t.Fatalf("next %v, want %v", got, want)
				}
				for _, a := range want {
					m[a].state = trying
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "seconds")) * time.Second)
			},
			"unused": func(t *rapid.T) {
				a := draw(t)
				l.Unused(a)
				if c := m[a]; c != nil && c.state == trying {
					c.state = idle
				}
			},
			"failed": func(t *rapid.T) {
				a := draw(t)
				l.Failed(a, now)
				if m[a] != nil {
					fail(a, 1)
				}
			},
			"connected": func(t *rapid.T) {
				a := draw(t)
				if c := m[a]; l.Connected(a) == (c != nil && c.state == connected) {
					t.Fatal("connected: wrong answer")
				} else if c != nil {
					c.state = connected
				}
			},
			"disconnected": func(t *rapid.T) {
				a, how := draw(t), Outcome(rapid.IntRange(0, int(OutcomeDuplicate)).Draw(t, "how"))
				l.Disconnected(a, now, how)
				c := m[a]
				switch {
				case c == nil || how == OutcomeDuplicate && c.state == connected:
				case how == OutcomeUseful:
					c.state, c.failures, c.useless, c.retry = idle, 0, 0, now.Add(pause(c, usefulPause, 0, usefulPause))
				case how == OutcomeBroken:
					fail(a, brokenFailures)
				case how == OutcomeFull:
					c.state, c.failures, c.retry = idle, 0, now.Add(pause(c, fullPause, min(c.useless/2, 20), maxUseless))
					c.useless++
				default:
					c.state, c.failures, c.retry = idle, 0, now.Add(pause(c, uselessPause, min(c.useless, 20), maxUseless))
					c.useless++
				}
			},
			"seed": func(t *rapid.T) {
				a, yes := draw(t), rapid.Bool().Draw(t, "yes")
				l.SetSeed(a, yes)
				if m[a] != nil {
					m[a].seed = yes
				}
			},
			"seeding": func(t *rapid.T) {
				seeding = rapid.Bool().Draw(t, "yes")
				l.SetSeeding(seeding)
			},
			"ban": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
					t.Skip("rarely")
				}
				a := draw(t)
				l.Ban(a)
				for _, b := range pool {
					if b.Addr() == a.Addr() {
						gone[b] = true
						delete(m, b)
					}
				}
			},
		})
	})
}

func BenchmarkNext(b *testing.B) {
	l := New(Options{})
	for i := range DefaultMax {
		l.Add([]netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, byte(i >> 8), byte(i)}), 9)}, SourceTracker)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Unused(l.Next(start, 1)[0])
	}
}

// BenchmarkNextNothing measures the call that is made every second for a list without a ready
// candidate. It allocates nothing.
func BenchmarkNextNothing(b *testing.B) {
	l := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		l.Next(start, 10)
	}
}

// TestLocalShare checks that the local network cannot fill the list, because any host there
// can send any address.
func TestLocalShare(t *testing.T) {
	l := New(Options{Max: 100})
	name := func(i int, src Source) {
		l.Add([]netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 1)}, src)
	}
	for i := range 5 {
		name(i, SourcePEX)
	}
	for i := range 50 {
		name(i, SourceLSD)
	}
	if l.local != 10 || l.Len() != 10 {
		t.Errorf("%d of %d candidates are local", l.local, l.Len())
	}
	name(3, SourceManual)
	l.remove(netip.MustParseAddrPort("10.0.0.4:1"))
	if l.local != 8 {
		t.Errorf("%d local candidates are left after two went, want 8", l.local)
	}
	name(99, SourceLSD)
	if src, known := l.Source(netip.MustParseAddrPort("10.0.0.99:1")); !known || src != SourceLSD {
		t.Error("a local candidate is refused below the limit")
	}
}

// TestLinkLocalPeersOfTwoNetworks checks that a link-local address is one peer on each
// interface, and keeps its zone.
func TestLinkLocalPeersOfTwoNetworks(t *testing.T) {
	l := New(Options{})
	a, b := one("[fe80::1%eth0]:5"), one("[fe80::1%eth1]:5")
	if n := l.Add([]netip.AddrPort{a, b, a, one("[fe80::1]:5")}, SourceLSD); n != 1 && n != 2 {
		t.Errorf("%d were added", n)
	}
	l.Add([]netip.AddrPort{a, b}, SourceManual)
	l.Ban(a)
	if !l.Banned(a) || !l.Banned(one("[fe80::1%eth0]:6")) || l.Banned(b) {
		t.Error("a ban covers another network, or not the whole host")
	}
	if got := l.Next(time.Now(), 10); len(got) != 1 || got[0] != b {
		t.Errorf("Next returned %v, want %v", got, b)
	}
	if Priority(a, b) == 0 && Priority(a, one("[fe80::2%eth0]:5")) == 0 {
		t.Error("no priority")
	}
}
