package trackerserver

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"spate/internal/atomicfile"
)

// TestNetSet compares a set with the list of networks that it was made from.
func TestNetSet(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		addr := rapid.Custom(func(r *rapid.T) netip.Addr { // few different bits, so that networks overlap
			b := [4]byte{10, byte(rapid.IntRange(0, 3).Draw(r, "b")), 0, byte(rapid.IntRange(0, 7).Draw(r, "d"))}
			switch rapid.IntRange(0, 2).Draw(r, "family") {
			case 0:
				return netip.AddrFrom4(b)
			case 1:
				return netip.AddrFrom16(netip.AddrFrom4(b).As16()) // an IPv4-mapped IPv6 address
			}
			return netip.AddrFrom16([16]byte{0x20, 1, 14: b[1], 15: b[3]})
		})
		var nets []netip.Prefix
		for range rapid.IntRange(0, 8).Draw(r, "nets") {
			a := addr.Draw(r, "net")
			nets = append(nets, netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(r, "bits")))
		}
		set := newNetSet(nets)
		for range 20 {
			a := addr.Draw(r, "addr").Unmap()
			if got, want := set.contains(a), contains(canonicalNets(nets), a); got != want {
				r.Fatalf("%v in %v: %v", a, nets, got)
			}
		}
	})
}

// TestNetsFile checks that a changed file is applied, and that an invalid one is not.
func TestNetsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nets")
	write := func(text string) {
		t.Helper()
		if err := atomicfile.Replace(path, []byte(text)); err != nil { // the watcher must not read an incomplete file
			t.Fatal(err)
		}
	}
	write("# none\n")
	s := newServer(t, Options{Nets: path, DenyNets: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}})
	refused := func(from string) bool {
		_, err := announce(t, s, from, peer(1))
		return err != nil
	}
	if refused("192.0.2.1:9") || !refused("192.0.2.9:9") {
		t.Error("the rules of the options are not applied")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	write("deny 192.0.2.0/28\ndeny 2001:db8::1\n")
	eventually(t, "a network is denied", func() bool { return refused("192.0.2.1:9") })
	if !refused("192.0.2.9:9") || !refused("[2001:db8::1]:9") || refused("[2001:db8::2]:9") || refused("192.0.2.16:9") {
		t.Error("the rules are not those of the file")
	}
	for text, want := range map[string]string{
		"deny 192.0.2.0/24\nforbid 10.0.0.0/8\n": "line 2: want the word", "allow\n": "line 1: want", "allow 10.0.0.0/33\n": "line 1", "allow fe80::1%eth0\n": "want an address", "allow 1 2\n": "want",
		"\n# " + strings.Repeat("x", maxListLine): "line 2 has more than",
	} {
		write(text)
		if err := s.Reload(); err == nil || !strings.Contains(err.Error(), want) || refused("192.0.2.16:9") || !refused("192.0.2.1:9") {
			t.Errorf("%q: %v", text, err)
		}
	}
	write("allow 198.51.100.0/24\n")
	eventually(t, "one network is allowed", func() bool { return refused("192.0.2.16:9") && !refused("198.51.100.1:9") })
}

// FuzzParseNets checks that a line gives at most one network, and that any networks make a
// set.
func FuzzParseNets(f *testing.F) {
	f.Add([]byte("allow 10.0.0.0/8\n# x\n\ndeny ::1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		allow, deny, err := parseNets(b)
		if n := len(allow) + len(deny); err == nil && n > len(strings.Split(string(b), "\n")) {
			t.Fatalf("%d networks", n)
		}
		newNetSet(append(allow, deny...))
	})
}
