package lsd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/discovery"
)

func TestMessage(t *testing.T) {
	a, b := spate.InfoHash{1, 2}, spate.InfoHash{0xfe}
	for _, m := range []Message{
		{Host: "239.192.152.143:6771", Port: 6881, Hashes: []spate.InfoHash{a, b}, Cookie: "abc"},
		{Host: "[ff15::efc0:988f]:6771", Port: 1, Hashes: []spate.InfoHash{a}},
	} {
		got, err := Parse(m.Append(nil))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v became %+v, %v", m, got, err)
		}
	}
	full := Message{Host: Group6.String(), Port: 65535, Hashes: make([]spate.InfoHash, MaxHashes), Cookie: strings.Repeat("c", 16)}
	if n := len(full.Append(nil)); n > MaxMessage {
		t.Errorf("a full message has %d bytes", n)
	}
	hash := strings.Repeat("Ab", 20)
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"of another client":   {"BT-SEARCH * HTTP/1.1\r\nHOST: x\r\nport:51413\r\ninfohash:" + hash + "\r\nx-new: y\r\n\r\n\r\n", true},
		"without an end":      {"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: " + hash + "\r\n", true},
		"no port":             {"BT-SEARCH * HTTP/1.1\r\nInfohash: " + hash + "\r\n\r\n", false},
		"port 0":              {"BT-SEARCH * HTTP/1.1\r\nPort: 0\r\nInfohash: " + hash + "\r\n\r\n", false},
		"port too large":      {"BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\nInfohash: " + hash + "\r\n\r\n", false},
		"half an info-hash":   {"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: abcd\r\n\r\n", false},
		"another method":      {"M-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: " + hash + "\r\n\r\n", false},
		"a line that is none": {"BT-SEARCH * HTTP/1.1\r\nwhat\r\nPort: 1\r\nInfohash: " + hash + "\r\n\r\n", false},
		"too long":            {"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: " + hash + "\r\nx: " + strings.Repeat("x", MaxMessage) + "\r\n\r\n", false},
		"nothing":             {"", false},
	} {
		m, err := Parse([]byte(c.text))
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	m := Message{Host: Group4.String(), Port: 6881, Hashes: []spate.InfoHash{{1}, {2}}, Cookie: "abc"}
	f.Add(m.Append(nil))
	f.Add([]byte("BT-SEARCH * HTTP/1.1\r\nport:1\r\n:\r\ninfohash: x\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		if m.Port == 0 || len(m.Hashes) == 0 || len(m.Hashes) > maxParsedHashes || len(m.Cookie) > maxCookie {
			t.Fatalf("%+v", m)
		}
		m.Host, m.Cookie = "x", ""
		m.Hashes = m.Hashes[:min(len(m.Hashes), MaxHashes)]
		again, err := Parse(m.Append(nil))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

// fakeSwarms is a set of swarms that records the peers that were found.
type fakeSwarms struct {
	mu      sync.Mutex
	ours    []spate.InfoHash
	private []spate.InfoHash
	port    uint16 // the port that the client listens on
	found   []string
}

func (b *fakeSwarms) Swarms() (all []discovery.Swarm) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ih := range b.ours {
		all = append(all, discovery.Swarm{InfoHash: ih, Local: true})
	}
	for _, ih := range b.private {
		all = append(all, discovery.Swarm{InfoHash: ih, Private: true})
	}
	return all
}

// AdvertisedPort returns a port that no message may contain.
func (b *fakeSwarms) AdvertisedPort() uint16 { return 7777 }

func (b *fakeSwarms) PeerPort() uint16 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.port
}

func (b *fakeSwarms) Found(ih spate.InfoHash, peer discovery.Candidate, source discovery.Source) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.found = append(b.found, fmt.Sprintf("%v %x %v", source, ih[:1], peer.Addr))
	return slices.Contains(b.ours, ih)
}

func newService(t *testing.T, b *fakeSwarms, opt Options) *Service {
	t.Helper()
	b.port = 6881
	s, err := New(b, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestHandle checks that a message is accepted only from an address of the local
// network, and that the service ignores its own messages.
func TestHandle(t *testing.T) {
	b := &fakeSwarms{}
	s := newService(t, b, Options{})
	networks := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")}
	m := Message{Port: 7000, Hashes: []spate.InfoHash{{1}, {2}}}
	s.handle(m.Append(nil), netip.MustParseAddr("192.0.2.9"), networks)
	s.handle(m.Append(nil), netip.MustParseAddr("::ffff:198.51.100.1"), networks) // a message from outside of the network
	s.handle([]byte("noise"), netip.MustParseAddr("192.0.2.9"), networks)
	m.Cookie = s.cookie
	s.handle(m.Append(nil), netip.MustParseAddr("192.0.2.1"), networks) // the service's own message
	m.Cookie, m.Hashes = "theirs", m.Hashes[:1]
	s.handle(m.Append(nil), netip.MustParseAddr("2001:db8::7"), networks)
	want := []string{"lsd 01 192.0.2.9:7000", "lsd 02 192.0.2.9:7000", "lsd 01 [2001:db8::7]:7000"}
	if !reflect.DeepEqual(b.found, want) {
		t.Errorf("found %q, want %q", b.found, want)
	}
}

// TestNeighbourIsToldOnce checks that each address of another client is passed on once, that there is a
// bound, and that no other message has an effect.
func TestNeighbourIsToldOnce(t *testing.T) {
	t.Parallel()
	told := map[netip.AddrPort]int{}
	s := newService(t, &fakeSwarms{}, Options{Neighbour: func(a netip.AddrPort) { told[a]++ }})
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	m := Message{Port: 7000, Hashes: []spate.InfoHash{{1}, {2}}}
	for range 2 {
		s.handle(m.Append(nil), netip.MustParseAddr("10.0.0.9"), networks)
		s.handle(m.Append(nil), netip.MustParseAddr("198.51.100.1"), networks)
	}
	m.Cookie = s.cookie
	s.handle(m.Append(nil), netip.MustParseAddr("10.0.0.1"), networks)
	if want := map[netip.AddrPort]int{netip.MustParseAddrPort("10.0.0.9:7000"): 1}; !maps.Equal(told, want) {
		t.Errorf("the addresses %v were told, want %v", told, want)
	}
	m.Cookie = ""
	for i := range 3 * maxTold {
		s.handle(m.Append(nil), netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), networks)
	}
	if len(told) != maxTold {
		t.Errorf("%d addresses were told", len(told))
	}
}

// TestLinkLocalPeers checks that a peer with an IPv6 link-local address is found with the zone of
// the interface on which its message came, and no other peer with a zone.
func TestLinkLocalPeers(t *testing.T) {
	b := &fakeSwarms{}
	s := newService(t, b, Options{})
	l := &link{zone: "eth7", networks: []netip.Prefix{
		netip.MustParsePrefix("fe80::/64"), netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("169.254.0.0/16"),
	}}
	m := Message{Port: 7000, Hashes: []spate.InfoHash{{1}}}
	for _, from := range []string{"fe80::9%eth7", "fe80::9", "fe80::9%3", "2001:db8::7", "2001:db8::7%eth7", "::ffff:169.254.1.1", "fe80:0:0:1::9%eth7"} {
		s.handle(m.Append(nil), l.zoned(netip.MustParseAddr(from)), l.networks)
	}
	zoned := "lsd 01 [fe80::9%eth7]:7000"
	want := []string{zoned, zoned, zoned, "lsd 01 [2001:db8::7]:7000", "lsd 01 [2001:db8::7]:7000", "lsd 01 169.254.1.1:7000"}
	if !reflect.DeepEqual(b.found, want) {
		t.Errorf("found %q, want %q", b.found, want)
	}
	ifi := &net.Interface{Name: "eth7", Index: 7}
	for bind, want := range map[string]bool{"": true, "fe80::1": true, "fe80::1%eth7": true, "fe80::1%7": true, "fe80::1%eth1": false, "fe80::1%1": false, "fe80::2": false} {
		s.opt.Bind = netip.Addr{}
		if bind != "" {
			s.opt.Bind = netip.MustParseAddr(bind)
		}
		if got := s.bound(netip.MustParseAddr("fe80::1%eth7"), ifi); got != want {
			t.Errorf("bound to %q, the interface is used: %v", bind, got)
		}
	}
}

// TestReceiveRate checks how many messages are accepted from a host that floods the
// network.
func TestReceiveRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeSwarms{}
		s := newService(t, b, Options{})
		networks := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		m := Message{Port: 7000, Hashes: []spate.InfoHash{{1}}}
		for range 10 {
			for range 1000 {
				s.handle(m.Append(nil), netip.MustParseAddr("192.0.2.9"), networks)
			}
			time.Sleep(time.Second)
		}
		if n, most := len(b.found), receiveBurst+9*receiveRate; n != most {
			t.Errorf("%d of 10000 messages in ten seconds were read, want %d", n, most)
		}
	})
}

// TestHostsShareTheReceiveRate checks that a host that floods the network does not keep out the
// messages of other hosts, that many hosts together have a limit too, and that a message from
// outside the network uses up nothing.
func TestHostsShareTheReceiveRate(t *testing.T) {
	for name, c := range map[string]struct {
		flood    func(i int) netip.Addr // the sender of message i of the flood
		quiet    int                    // quiet hosts, which send one message a second
		accepted int                    // messages accepted from the flood
	}{
		"one host":          {func(int) netip.Addr { return netip.MustParseAddr("10.1.1.1") }, 50, receiveBurst + 10*receiveRate},
		"one IPv6 host":     {func(int) netip.Addr { return netip.MustParseAddr("fd00::1") }, 50, receiveBurst + 10*receiveRate},
		"ten hosts":         {func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, 1, byte(i % 10)}) }, 50, receiveBurst + 10*receiveRate + 10*2*shareOfHost},
		"ten thousand":      {func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}) }, 0, receiveBurst + 10*receiveRate + maxHosts*2*shareOfHost},
		"outside addresses": {func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) }, 100, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &fakeSwarms{}
			s := newService(t, b, Options{})
			networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/64")}
			m := Message{Port: 7000, Hashes: []spate.InfoHash{{1}}}
			quiet := 0
			for range 10 {
				before := len(b.found)
				for i := range 10000 {
					s.handle(m.Append(nil), c.flood(i), networks)
				}
				flooded := len(b.found)
				if quiet == 0 && flooded-before > c.accepted {
					t.Errorf("%s: %d messages of a flood were accepted", name, flooded-before)
				}
				for i := range c.quiet {
					s.handle(m.Append(nil), netip.AddrFrom4([4]byte{10, 9, 9, byte(i)}), networks)
				}
				quiet += len(b.found) - flooded
				time.Sleep(2 * time.Second)
			}
			if want := 10 * c.quiet; quiet != want {
				t.Errorf("%s: %d messages of quiet hosts were accepted, want %d", name, quiet, want)
			}
			if most := c.accepted + 9*receiveRate; len(b.found)-quiet > most {
				t.Errorf("%s: %d messages of the flood were accepted, want at most %d", name, len(b.found)-quiet, most)
			}
		})
	}
}

// TestAnnouncePace checks that at most one message with the port that the client listens on is
// sent per second, that each swarm but private ones is announced once per interval, and that a
// swarm is announced sooner if another client announced it.
func TestAnnouncePace(t *testing.T) {
	group, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	b := &fakeSwarms{}
	for i := range 50 {
		b.ours = append(b.ours, spate.InfoHash{byte(i)})
		b.private = append(b.private, spate.InfoHash{byte(i), 1})
	}
	s := newService(t, b, Options{})
	s.links["test"] = &link{group: group.LocalAddr().(*net.UDPAddr).AddrPort(), out: out}
	port := uint16(6881)
	heard := func() (n int) {
		group.SetReadDeadline(time.Now().Add(5 * time.Minute))
		buf := make([]byte, 2000)
		k, _, err := group.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(buf[:k])
		if err != nil || m.Port != port {
			t.Fatalf("%+v, %v", m, err)
		}
		return len(m.Hashes)
	}
	now := time.Unix(1e9, 0)
	var sizes []int
	for _, port = range []uint16{6881, 7000, 7001} {
		s.scan(now)
		b.port = 0
		s.announce(now) // sends nothing, because the client does not listen
		b.port = port
		s.announce(now)
		sizes = append(sizes, heard())
		now = now.Add(time.Second)
	}
	if !reflect.DeepEqual(sizes, []int{20, 20, 10}) {
		t.Errorf("messages of %v swarms", sizes)
	}
	s.scan(now)
	if len(s.due) != 0 {
		t.Errorf("%d are due at once again", len(s.due))
	}
	s.markShared(b.ours[7])
	s.scan(now.Add(30 * time.Second))
	if len(s.due) != 0 {
		t.Errorf("%d are due after half a minute", len(s.due))
	}
	s.scan(now.Add(61 * time.Second))
	if len(s.due) != 1 || s.due[0] != b.ours[7] {
		t.Errorf("after a minute %v are due, want the swarm that another client announced", s.due)
	}
	s.due = nil
	s.scan(now.Add(5 * time.Minute))
	if len(s.due) != 50 {
		t.Errorf("%d are due after the interval", len(s.due))
	}
}

func TestOptions(t *testing.T) {
	for name, opt := range map[string]Options{
		"loopback":   {Bind: netip.MustParseAddr("127.0.0.1")},
		"no group":   {Groups: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1")}},
		"too often":  {Interval: time.Second},
		"port 0":     {Groups: []netip.AddrPort{netip.MustParseAddrPort("239.1.1.1:0")}},
		"loopback 6": {Bind: netip.IPv6Loopback()},
	} {
		if _, err := New(&fakeSwarms{}, opt); err == nil {
			t.Errorf("%s was accepted", name)
		} else if loop := strings.HasPrefix(name, "loopback"); errors.Is(err, ErrLoopback) != loop {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoInterface checks that Run works without an interface and ends with its context.
func TestNoInterface(t *testing.T) {
	s := newService(t, &fakeSwarms{}, Options{Interface: "no such interface"})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}
