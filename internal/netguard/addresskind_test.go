package netguard

import (
	"errors"
	"net/netip"
	"os"
	"regexp"
	"testing"
)

// TestKindOf checks addresses of each kind in all notations, including the IPv6 addresses
// that contain IPv4 ones.
func TestKindOf(t *testing.T) {
	t.Parallel()
	for want, addrs := range map[Kind][]string{
		Public: {
			"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
			"168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0",
			"192.167.255.255", "192.169.0.0", "192.88.98.255", "198.17.255.255", "198.20.0.0", "223.255.255.255",
			"192.0.2.1", "198.51.100.1", "203.0.113.1", // addresses for documentation
			"2001:4860:4860::8888", "2a00::1", "2001:db8::1", "3fff::1", "2001:4:112::1", "fbff::1", "2003::1", "2001:1::1",
			"::ffff:8.8.8.8", "::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2001:0:1:2:3:4:f7f7:f7f7",
			"2a00::5efe:808:808", "2a00::200:5efe:808:808", "64:ff9a::7f00:1", "64:ff9b:2::7f00:1",
		},
		Private: {
			"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "100.64.0.0",
			"100.127.255.255", "100.100.100.199", "198.18.0.0", "198.19.255.255",
			"fc00::", "fd00::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fd00:ec1::254", "fd20:ce::253", "fec0::1", "2001:2::1", "fd00::1%eth0",
			"::ffff:10.0.0.1", "::10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "64:ff9b:1::808:808", "64:ff9b:1:fff::808:808",
			"2002:a00:1::1", "2002:c0a8:101::", "2001:0:808:808::f5ff:fffe", "2a00::5efe:a00:1",
		},
		LinkLocal: {
			"169.254.0.0", "169.254.1.1", "169.254.168.255", "169.254.171.0", "169.254.255.255", "fe80::1", "fe80::1%eth0", "febf::1",
			"::ffff:169.254.1.1", "64:ff9b::a9fe:101", "2002:a9fe:101::1",
		},
		Loopback: {
			"127.0.0.0", "127.0.0.1", "127.0.0.9", "127.255.255.255", "::1", "::1%lo",
			"::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:7f00:1::1",
			"2001:0:1:2:3:4:80ff:fffe", "2a00::5efe:7f00:1", "2a00::200:5efe:7f00:1",
		},
		Unspecified: {"0.0.0.0", "::", "::%eth0", "::ffff:0.0.0.0", "64:ff9b::", "2002::", "2001:0:1:2:3:4:ffff:ffff"},
		Metadata: {
			"169.254.169.254", "169.254.169.253", "169.254.170.2", "169.254.170.23", "169.254.0.23", "169.254.10.10", "169.254.42.42",
			"100.100.100.200", "168.63.129.16", "192.0.0.192",
			"fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42", "fd00:a9fe:a9fe::1", "fd00:100::100:200",
			"fe80::a9fe:a9fe", "fe80::a9fe:a9fe%eth0", "fd00:ec2::254%eth0",
			"::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "64:ff9b::a83f:8110", "64:ff9b::6464:64c8",
			"2002:a9fe:a9fe::", "2002:a83f:8110::1", "2001:0:1:2:3:4:5601:5601", "2a00::5efe:a9fe:a9fe",
		},
		Nowhere: {
			"0.0.0.1", "0.1.2.3", "0.255.255.255", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.254", "255.255.255.255",
			"192.0.0.1", "192.0.0.170", "192.88.99.1", "ff02::1", "ff02::1%eth0", "ff0e::1", "100::1", "100:0:0:1::1", "2001:10::1", "2001:2f:ffff::1", "5f00::1",
			"::ffff:224.0.0.1", "::ffff:255.255.255.255", "64:ff9b::e000:1", "64:ff9b::1", "2002:ffff:ffff::",
		},
	} {
		for _, s := range addrs {
			if got := KindOf(netip.MustParseAddr(s)); got != want {
				t.Errorf("%s has the kind %d, want %d", s, got, want)
			}
		}
	}
	if got := KindOf(netip.Addr{}); got != Nowhere {
		t.Errorf("no address has the kind %d", got)
	}
}

// TestTableHasNoDeadEntry checks that no range follows another one that contains it.
func TestTableHasNoDeadEntry(t *testing.T) {
	t.Parallel()
	for i, r := range ranges {
		if r.prefix != r.prefix.Masked() || r.description == "" {
			t.Errorf("%v has bits after the prefix, or no description", r.prefix)
		}
		for _, before := range ranges[:i] {
			if before.prefix.Bits() <= r.prefix.Bits() && before.prefix.Contains(r.prefix.Addr()) {
				t.Errorf("%v comes after %v, which contains it", r.prefix, before.prefix)
			}
		}
	}
}

// TestTableIsDocumented checks that docs/addresses.md names every range.
func TestTableIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/addresses.md")
	if err != nil {
		t.Fatal(err)
	}
	prefixes := []netip.Prefix{}
	for _, r := range ranges {
		prefixes = append(prefixes, r.prefix)
	}
	for _, e := range embeddings {
		prefixes = append(prefixes, e.prefix)
	}
	for _, p := range prefixes {
		text := p.String()
		if p.IsSingleIP() {
			text = p.Addr().String()
		}
		if !regexp.MustCompile(`(^|[ (])` + regexp.QuoteMeta(text) + `[ ,);]`).Match(doc) {
			t.Errorf("%s is not in docs/addresses.md", text)
		}
	}
}

// FuzzEmbedded checks that an IPv6 address has the kind of the IPv4 address in it.
func FuzzEmbedded(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "169.254.169.254", "0.0.0.0", "8.8.8.8", "10.0.0.1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v4, ok := netip.AddrFromSlice(b)
		if !ok || !v4.Is4() || v4.As4()[0] == 0 { // addresses such as ::1 are in ::/96 too
			return
		}
		v := v4.As4()
		for _, c := range []struct {
			at    int
			start []byte
		}{{12, []byte{10: 0xff, 11: 0xff}}, {12, nil}, {12, []byte{0, 0x64, 0xff, 0x9b}}, {2, []byte{0x20, 0x02}}} {
			var v6 [16]byte
			copy(v6[:], c.start)
			copy(v6[c.at:], v[:])
			if a := netip.AddrFrom16(v6); KindOf(a) != KindOf(v4) {
				t.Errorf("%v has the kind %d, %v has %d", a, KindOf(a), v4, KindOf(v4))
			}
		}
	})
}

// TestReach checks which kinds of addresses each reach allows, and the reach of redirects
// from servers of each kind.
func TestReach(t *testing.T) {
	t.Parallel()
	addrs := []netip.Addr{}
	for _, s := range []string{"8.8.8.8", "10.0.0.1", "169.254.1.1", "127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1"} {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	for _, c := range []struct {
		name  string
		reach Reach
		want  [7]bool
	}{
		{"ToPublic", ToPublic, [7]bool{true}},
		{"ToPrivate", ToPrivate, [7]bool{true, true}},
		{"ToMachine", ToMachine, [7]bool{true, true, false, true}},
		{"ToChosen", ToChosen, [7]bool{true, true, true, true, true}},
		{"none", 0, [7]bool{}},
		{"From public", From(addrs[0]), [7]bool{true}},
		{"From private", From(addrs[1]), [7]bool{true, true}},
		{"From link-local", From(addrs[2]), [7]bool{true, true, true}},
		{"From loopback", From(addrs[3]), [7]bool{true, true, true, true, true}},
		{"From unspecified", From(addrs[4]), [7]bool{true}},
		{"From metadata", From(addrs[5]), [7]bool{true}},
		{"From multicast", From(addrs[6]), [7]bool{true}},
		{"From no address", From(netip.Addr{}), [7]bool{true}},
	} {
		for i, a := range addrs {
			err := c.reach.Check(a)
			var typed *AddressError
			if (err == nil) != c.want[i] || err != nil && (!errors.Is(err, ErrForbidden) || !errors.As(err, &typed) || typed.Addr != a) {
				t.Errorf("Check of %[2]v with the reach %[1]s returned %[3]v, want success: %[4]v", c.name, a, err, c.want[i])
			}
		}
	}
}
