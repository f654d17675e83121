package netguard

import (
	"errors"
	"net/netip"
	"testing"
)

// TestOf protects hosts of the house and credentials of clouds: every way to
// write a local address counts as local.
func TestOf(t *testing.T) {
	for in, want := range map[string]Reach{
		"8.8.8.8": Public, "2001:4860::1": Public, "64:ff9b::808:808": Public, "2002:808:808::1": Public,
		"192.168.1.1": LAN, "10.1.2.3": LAN, "172.16.0.1": LAN, "100.64.1.1": LAN, "fe80::1": LAN, "fd00::1": LAN,
		"::ffff:10.0.0.1": LAN, "64:ff9b::a00:1": LAN, "2002:a00:1::1": LAN,
		"127.0.0.9": Machine, "::1": Machine, "::ffff:127.0.0.1": Machine, "64:ff9b::7f00:1": Machine,
	} {
		if got, err := Of(netip.MustParseAddr(in)); got != want || err != nil {
			t.Errorf("Of(%s) = %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{
		"0.0.0.0", "::", "0.1.2.3", "224.0.0.1", "ff02::1", "255.255.255.255",
		"169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "100.100.100.200",
	} {
		if _, err := Of(netip.MustParseAddr(in)); !errors.Is(err, ErrForbidden) {
			t.Errorf("Of(%s): %v, want it refused", in, err)
		}
	}
	if _, err := Of(netip.Addr{}); !errors.Is(err, ErrForbidden) {
		t.Errorf("Of of no address: %v", err)
	}
}

func TestCheck(t *testing.T) {
	public, lan, local := netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.1")
	for r, ok := range map[Reach][3]bool{Public: {true, false, false}, LAN: {true, true, false}, Machine: {true, true, true}} {
		for i, a := range []netip.Addr{public, lan, local} {
			if err := r.Check(a); (err == nil) != ok[i] {
				t.Errorf("reach %d, %v: %v", r, a, err)
			}
		}
	}
}
