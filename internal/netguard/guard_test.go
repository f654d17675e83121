package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"spate/internal/netguard/guardtest"
)

// forms returns an IPv4 address in all forms that lead to it.
func forms(v4 string) map[string]string {
	b := netip.MustParseAddr(v4).As4()
	w := func(x, y byte) string { return fmt.Sprintf("%x", uint16(x)<<8|uint16(y)) }
	high, low := w(b[0], b[1]), w(b[2], b[3])
	return map[string]string{
		"IPv4":                    v4,
		"IPv4-mapped":             "::ffff:" + v4,
		"IPv4-mapped, hex":        "::ffff:" + high + ":" + low,
		"IPv4-mapped, long":       "0:0:0:0:0:ffff:" + high + ":" + low,
		"IPv4-mapped with a zone": "::ffff:" + v4 + "%lo",
		"IPv4-translated":         "::ffff:0:" + v4,
		"NAT64":                   "64:ff9b::" + v4,
		"NAT64 with a zone":       "64:ff9b::" + v4 + "%eth0",
		"6to4":                    "2002:" + high + ":" + low + "::1",
		"Teredo":                  "2001:0:4136:e378:8000:63bf:" + w(^b[0], ^b[1]) + ":" + w(^b[2], ^b[3]),
		"ISATAP":                  "2a00:1:2:3:0:5efe:" + high + ":" + low,
		"ISATAP, unique":          "2a00:1:2:3:200:5efe:" + high + ":" + low,
	}
}

// targets are addresses of each kind, with the askers that may reach them: "u" the user's own
// argument, "m" a URL of a torrent that may reach this machine, "p" one that may reach private
// networks, "w" one that may reach public addresses only, and redirects from servers on
// loopback "L", link-local "K", private "R" and public "P" addresses.
var targets = []struct{ addr, askers string }{
	{"8.8.8.8", "umpwLKRP"}, {"192.0.2.1", "umpwLKRP"}, {"198.51.100.1", "umpwLKRP"}, {"203.0.113.255", "umpwLKRP"},
	{"10.0.0.1", "umpLKR"}, {"172.31.255.254", "umpLKR"}, {"192.168.1.1", "umpLKR"}, {"100.64.0.1", "umpLKR"}, {"100.127.255.254", "umpLKR"},
	{"198.18.0.1", "umpLKR"}, {"198.19.255.254", "umpLKR"},
	{"169.254.1.1", "uLK"}, {"127.0.0.1", "umL"}, {"127.1.2.3", "umL"}, {"127.255.255.254", "umL"},
	{"169.254.169.254", ""}, {"169.254.170.2", ""}, {"100.100.100.200", ""}, {"168.63.129.16", ""}, {"192.0.0.192", ""},
	{"192.0.0.1", ""}, {"192.0.0.170", ""}, {"192.88.99.1", ""}, {"224.0.0.251", ""}, {"239.192.152.143", ""}, {"240.0.0.1", ""}, {"255.255.255.255", ""},
}

var targets6 = []struct{ addr, askers string }{
	{"0.0.0.0", "uL"}, {"::ffff:0.0.0.0", "uL"}, {"64:ff9b::", "uL"}, {"0.0.0.1", ""},
	{"2606:4700::1111", "umpwLKRP"}, {"2001:db8::1", "umpwLKRP"}, {"2001:db8::1%eth0", "umpwLKRP"},
	{"fd00::1", "umpLKR"}, {"fc00::1", "umpLKR"}, {"fec0::1", "umpLKR"}, {"64:ff9b:1::8.8.8.8", "umpLKR"}, {"64:ff9b:1:fffe::8.8.8.8", "umpLKR"},
	{"fe80::1", "uLK"}, {"fe80::1%eth0", "uLK"}, {"::1", "umL"}, {"::1%lo", "umL"}, {"::", "uL"}, {"::%lo", "uL"},
	{"fd00:ec2::254", ""}, {"fe80::a9fe:a9fe%eth0", ""}, {"ff02::1", ""}, {"ff15::efc0:988f", ""}, {"ff02::1%eth0", ""}, {"100::1", ""}, {"2001:20::1", ""},
	// NAT64 of the local network with prefixes of 48, 56 and 64 bits (RFC 6052, 2.2)
	{"64:ff9b:1:a9fe:a9:fe00::", ""}, {"64:ff9b:1:a9fe:a9:fe00:808:808", ""}, {"64:ff9b:1:aaa9:fe:a9fe:808:808", ""}, {"64:ff9b:1:0:a9:fea9:fe08:808", ""},
	{"64:ff9b:1:7f00:0:100:808:808", "umL"}, {"64:ff9b:1::127.0.0.1", "umL"}, {"64:ff9b:1::169.254.169.254", ""}, {"64:ff9b:1::10.1.1.1", "umpLKR"},
}

// TestWhoReachesWhat checks which asker reaches which address, in all forms of the address, with
// the check of a [Reach] and with a dialer.
func TestWhoReachesWhat(t *testing.T) {
	t.Parallel()
	askers := map[string]Reach{
		"u": ToChosen, "m": ToMachine, "p": ToPrivate, "w": ToPublic,
		"L": From(netip.MustParseAddr("127.0.0.1")), "K": From(netip.MustParseAddr("fe80::1%eth0")),
		"R": From(netip.MustParseAddr("fd00::1")), "P": From(netip.MustParseAddr("2606:4700::1")),
	}
	all := targets6
	for _, c := range targets {
		for _, form := range forms(c.addr) {
			all = append(all, struct{ addr, askers string }{form, c.askers})
		}
	}
	reached := errors.New("dialled")
	d := Dialer{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, reached }}
	for _, c := range all {
		for name, within := range askers {
			want := strings.Contains(c.askers, name)
			if err := within.Check(netip.MustParseAddr(c.addr)); (err == nil) != want {
				t.Errorf("%s for %s: %v, want allowed: %v", c.addr, name, err, want)
			}
			_, err := d.DialContext(t.Context(), within, "tcp", net.JoinHostPort(c.addr, "80"))
			if errors.Is(err, reached) != want || errors.Is(err, ErrForbidden) == want {
				t.Errorf("dialling %s for %s: %v, want allowed: %v", c.addr, name, err, want)
			}
		}
	}
}

// hosts maps hosts of URLs to their kind: "this machine", "address" of another machine, "name",
// and "refused" for forms that systems read in different ways.
var hosts = map[string]string{
	"127.0.0.1": "this machine", "127.9.9.9": "this machine", "::1": "this machine", "::ffff:127.0.0.1": "this machine", "::1%lo": "this machine",
	"64:ff9b::7f00:1": "this machine", "localhost": "this machine", "LocalHost": "this machine", "localhost.": "this machine",
	"a.localhost": "this machine", "a.b.LOCALHOST.": "this machine",
	"8.8.8.8": "address", "10.0.0.1": "address", "0.0.0.0": "address", "::": "address", "fe80::1%eth0": "address",
	"example.org": "name", "example.org.": "name", "xlocalhost": "name", "localhost.example.org": "name", "localhost..": "name", "127.0.0.1.nip.io": "name",
	"1.example": "name", "0x7f.example": "name", "a1": "name", "x0x1": "name", "cafe": "name", "0xyz": "name", "": "name", ".": "name",
	"127.1": "refused", "127.0.1": "refused", "2130706433": "refused", "017700000001": "refused", "0177.0.0.1": "refused", "0177.0.0.01": "refused",
	"0x7f.1": "refused", "0x7f000001": "refused", "0X7F.0.0.1": "refused", "0x7f.0x0.0x0.0x1": "refused", "127.0.0.1.": "refused", "127.0.0.0x": "refused",
	"0": "refused", "0.": "refused", "0x": "refused", "127.0.0.256": "refused", "1.2.3.4.5": "refused", "08.8.8.8": "refused", "127.000.000.001": "refused", "foo.0x1": "refused", "foo.1": "refused",
}

// TestHosts checks for each form of a host whether it is this machine, and that a dialer
// refuses the forms that systems read in different ways, without resolving them.
func TestHosts(t *testing.T) {
	t.Parallel()
	reached := errors.New("dialled")
	d := Dialer{
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, reached }, DialsNames: true,
		Resolver: guardtest.Resolver(func(name string) []string {
			t.Errorf("%s was resolved", name)
			return nil
		}),
	}
	std := d
	std.Dial = nil
	for host, kind := range hosts {
		if got, want := LocalHost(host), kind == "this machine"; got != want {
			t.Errorf("LocalHost of %q is %v, want %v", host, got, want)
		}
		refused := kind == "refused"
		if err := CheckHost(host); (err != nil) != refused || refused && !errors.Is(err, ErrForbidden) {
			t.Errorf("CheckHost of %q: %v", host, err)
		}
		_, err := d.DialContext(t.Context(), ToChosen, "tcp", net.JoinHostPort(host, "80"))
		if errors.Is(err, reached) == refused || errors.Is(err, ErrForbidden) != refused {
			t.Errorf("dialling %q: %v, want refused: %v", host, err, refused)
		}
		if !refused {
			continue
		}
		var typed *AddressError
		if _, err := std.DialContext(t.Context(), ToChosen, "udp", net.JoinHostPort(host, "80")); !errors.As(err, &typed) || !strings.Contains(err.Error(), host) {
			t.Errorf("dialling %q without a Dial function: %v", host, err)
		}
	}
}

// TestPorts checks which ports a dialer allows, for names and addresses, and that it refuses a
// port before it resolves a name.
func TestPorts(t *testing.T) {
	t.Parallel()
	reached := errors.New("dialled")
	resolve := guardtest.Resolver(func(name string) []string {
		t.Errorf("%s was resolved", name)
		return nil
	})
	for _, c := range []struct {
		port          string
		stranger, udp bool
	}{
		{"80", true, true}, {"443", true, true}, {"8080", true, true}, {"6969", true, true}, {"6881", true, true}, {"1337", true, true}, {"65535", true, true}, {"1", true, true},
		{"20", true, true}, {"21", false, true}, {"22", false, true}, {"23", false, true}, {"25", false, true}, {"025", false, true}, {"53", false, true},
		{"110", false, true}, {"143", false, true}, {"389", false, true}, {"465", false, true}, {"587", false, true}, {"993", false, true}, {"2049", false, true},
		{"5060", false, true}, {"6000", false, true}, {"6667", false, true}, {"10080", false, true},
		{"0", false, false}, {"00", false, false}, {"65536", false, false}, {"-1", false, false}, {"", false, false}, {"smtp", false, false},
	} {
		for _, host := range []string{"203.0.113.7", "2001:db8::7", "mail.test"} {
			for network, want := range map[string]bool{"tcp": c.stranger, "tcp4": c.stranger, "udp": c.udp, "udp6": c.udp} {
				for _, within := range []Reach{ToPublic, ToPrivate, ToMachine, From(netip.MustParseAddr("10.0.0.1"))} {
					d := Dialer{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, reached }, DialsNames: true, Resolver: resolve}
					if _, err := d.DialContext(t.Context(), within, network, net.JoinHostPort(host, c.port)); errors.Is(err, reached) != want {
						t.Errorf("%s %s port %q: %v, want allowed: %v", network, host, c.port, err, want)
					}
					if !want {
						d.Dial = nil // must refuse before a name is resolved or a packet is sent
						if _, err := d.DialContext(t.Context(), within, network, net.JoinHostPort(host, c.port)); err == nil {
							t.Errorf("%s %s port %q was dialled", network, host, c.port)
						}
					}
				}
				if _, err := (&Dialer{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, reached }}).DialContext(t.Context(), ToChosen, network, net.JoinHostPort("203.0.113.7", c.port)); errors.Is(err, reached) != c.udp {
					t.Errorf("the user's own URL, %s port %q: %v", network, c.port, err)
				}
			}
		}
	}
	for i, p := range servicePorts {
		if i > 0 && p <= servicePorts[i-1] || !ServicePort(p) {
			t.Errorf("the list of ports is not in order at %d", p)
		}
	}
}

// TestOwnAddresses checks that a URL reaches this machine's own addresses only if it comes from
// the user, a torrent or a server at such an address, and that no URL reaches a broadcast
// address of this machine's networks.
func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	list := func() (all []net.Addr, _ error) {
		for _, s := range []string{"127.0.0.1/8", "192.168.7.5/24", "203.0.113.70/26", "10.1.2.3/31", "10.1.2.9/32", "2001:db8::5/64", "fd00::5/64"} {
			ip, n, err := net.ParseCIDR(s)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return append(all, &net.UnixAddr{Name: "no network"}), nil
	}
	d := Dialer{interfaces: list}
	a := netip.MustParseAddr
	for _, s := range []string{"192.168.7.5", "::ffff:192.168.7.5", "203.0.113.70", "2001:db8::5", "2001:db8::5%eth0", "fd00::5", "10.1.2.3", "10.1.2.9"} {
		for name, c := range map[string]struct {
			within Reach
			want   bool
		}{
			"the user":                               {ToChosen, true},
			"a torrent, to this machine":             {ToMachine, true},
			"a torrent, to private networks":         {ToPrivate, true},
			"a redirect of a public server":          {ToMachine & d.from(a("203.0.113.7")), false},
			"a redirect of a neighbour":              {ToMachine & d.from(a("192.168.7.6")), false},
			"a redirect of a link-local server":      {ToMachine & d.from(a("fe80::1%eth0")), false},
			"a redirect of an unknown server":        {ToMachine & d.from(netip.Addr{}), false},
			"a redirect of this machine":             {ToMachine & d.from(a("127.0.0.1")), true},
			"a redirect of an own private address":   {ToMachine & d.from(a("192.168.7.5")), true},
			"after a redirect through a neighbour":   {ToMachine & d.from(a("127.0.0.1")) & d.from(a("192.168.7.6")), false},
			"a redirect to an own address and again": {ToMachine & d.from(a("192.168.7.5")) & d.from(a("fd00::5")), true},
		} {
			err := d.check(c.within, a(s))
			var typed *AddressError
			if (err == nil) != c.want || err != nil && !errors.As(err, &typed) {
				t.Errorf("%s asks for %s: %v, want allowed: %v", name, s, err, c.want)
			}
		}
	}
	public := ToMachine & d.from(a("203.0.113.70"))
	for s, want := range map[string]bool{"203.0.113.70": true, "203.0.113.69": true, "2001:db8::5": true, "192.168.7.5": false, "192.168.7.6": false, "127.0.0.1": false} {
		if err := d.check(public, a(s)); (err == nil) != want {
			t.Errorf("a redirect of an own public address to %s: %v, want allowed: %v", s, err, want)
		}
	}
	for s, want := range map[string]bool{
		"192.168.7.255": false, "::ffff:192.168.7.255": false, "203.0.113.127": false, "127.255.255.255": false,
		"192.168.7.254": true, "192.168.8.255": true, "203.0.113.63": true, "203.0.113.255": true, "10.1.2.2": true, "2001:db8::ffff": true,
	} {
		if err := d.check(ToChosen, a(s)); (err == nil) != want {
			t.Errorf("the user asks for %s: %v, want allowed: %v", s, err, want)
		}
	}
	for s, want := range map[string]bool{"203.0.113.70:7000": false, "203.0.113.127:7000": false, "203.0.113.7:7000": true, "203.0.113.7:0": false} {
		if err := d.CheckAddr(From(a("203.0.113.7")), netip.MustParseAddrPort(s)); (err == nil) != want {
			t.Errorf("a packet to %s: %v, want allowed: %v", s, err, want)
		}
	}
	broken := Dialer{interfaces: func() ([]net.Addr, error) { return nil, errors.New("no list") }}
	if err := broken.check(From(a("203.0.113.7")), a("203.0.113.70")); err != nil {
		t.Errorf("without a list of interfaces: %v", err)
	}
}
