package netguard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"spate/internal/netguard/guardtest"
)

// counted listens on loopback and counts incoming connections.
func counted(t *testing.T, network string) (net.Listener, *atomic.Int32) {
	t.Helper()
	host := "127.0.0.1:0"
	if network == "tcp6" {
		host = "[::1]:0"
	}
	l, err := net.Listen(network, host)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
	n := new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			c.Close()
		}
	}()
	return l, n
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// TestDialerRefusesBeforeItDials checks that the dialer opens no connection to an address
// outside the reach, whether the caller gives the address or a name for it.
func TestDialerRefusesBeforeItDials(t *testing.T) {
	t.Parallel()
	l, n := counted(t, "tcp4")
	port := portOf(l)
	d := Dialer{Resolver: guardtest.Names(map[string][]string{
		"local.test": {"127.0.0.1"}, "both.test": {"::1", "127.0.0.1"}, "mapped.test": {"::ffff:127.0.0.1"},
		"metadata.test": {"169.254.169.254", "fd00:ec2::254"}, "none.test": {"0.0.0.0", "::"},
	})}
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0", "::", "local.test", "both.test", "mapped.test", "none.test", "metadata.test", "169.254.169.254", "255.255.255.255"} {
		for _, network := range []string{"tcp", "udp"} {
			conn, err := d.DialContext(t.Context(), ToPrivate, network, net.JoinHostPort(host, port))
			var forbidden *AddressError
			if !errors.As(err, &forbidden) {
				t.Errorf("dialling %s %s returned %v, %v, want an AddressError", network, host, conn, err)
			}
		}
	}
	if _, err := d.DialContext(t.Context(), ToMachine, "tcp", "metadata.test:"+port); !errors.Is(err, ErrForbidden) {
		t.Errorf("dialling the metadata service returned %v, want ErrForbidden", err)
	}
	if n.Load() != 0 {
		t.Errorf("the listener accepted %d connections, want none", n.Load())
	}
	conn, err := d.DialContext(t.Context(), ToMachine, "tcp", "local.test:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestDialerUsesTheAllowedAddress checks that the dialer connects to the allowed address of
// a name that also has a refused one.
func TestDialerUsesTheAllowedAddress(t *testing.T) {
	t.Parallel()
	l, _ := counted(t, "tcp4")
	d := Dialer{Resolver: guardtest.Names(map[string][]string{"two.test": {"fd00:ec2::254", "169.254.169.254", "127.0.0.1"}})}
	conn, err := d.DialContext(t.Context(), ToMachine, "tcp", "two.test:"+portOf(l))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestDialerWithDial checks that Dial receives allowed addresses only, at most maxAddrs of a
// name, and names only with DialsNames.
func TestDialerWithDial(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	d := Dialer{
		Resolver: guardtest.Names(map[string][]string{
			"mixed.test": {"127.0.0.1", "10.0.0.1", "203.0.113.1", "203.0.113.2"}, "inside.test": {"127.0.0.1", "169.254.169.254"},
			"many.test": {"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5", "203.0.113.6"},
		}),
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, address)
			return nil, errors.New("no listener")
		},
	}
	for _, c := range []struct {
		host      string
		want      []string
		forbidden bool
	}{
		{"203.0.113.9", []string{"203.0.113.9:80"}, false},
		{"127.0.0.1", nil, true},
		{"::ffff:127.0.0.1", nil, true},
		{"inside.test", nil, true},
		{"mixed.test", []string{"203.0.113.1:80", "203.0.113.2:80"}, false},
		{"many.test", []string{"203.0.113.1:80", "203.0.113.2:80", "203.0.113.3:80", "203.0.113.4:80"}, false},
	} {
		asked = nil
		_, err := d.DialContext(t.Context(), ToPublic, "tcp", net.JoinHostPort(c.host, "80"))
		slices.Sort(asked)
		if err == nil || errors.Is(err, ErrForbidden) != c.forbidden || !slices.Equal(asked, c.want) {
			t.Errorf("the dialer passed %[2]q to Dial for %[1]s, with the error %[3]v, want %[4]q", c.host, asked, err, c.want)
		}
	}
	asked = nil
	d.DialsNames = true
	d.DialContext(t.Context(), ToPublic, "tcp", "mixed.test:80")
	if _, err := d.DialContext(t.Context(), ToPublic, "tcp", "127.0.0.1:80"); !errors.Is(err, ErrForbidden) || !slices.Equal(asked, []string{"mixed.test:80"}) {
		t.Errorf("the dialer passed %q to Dial, with the error %v, want only the name", asked, err)
	}
}

// TestDialerBoundToLoopback checks that a dialer with OnlyLoopback resolves no names and
// dials loopback only.
func TestDialerBoundToLoopback(t *testing.T) {
	t.Parallel()
	d := Dialer{
		LocalAddr: netip.MustParseAddr("127.0.0.1"), OnlyLoopback: true,
		Resolver: guardtest.Resolver(func(name string) []string {
			t.Errorf("the dialer resolved %s", name)
			return nil
		}),
	}
	for _, host := range []string{"files.test", "203.0.113.7", "10.0.0.1"} {
		if _, err := d.DialContext(t.Context(), ToMachine, "tcp", host+":80"); err == nil {
			t.Errorf("the dialer connected to %s", host)
		}
	}
	l, _ := counted(t, "tcp4")
	for _, host := range []string{"127.0.0.1", "localhost", "LOCALHOST.", "a.localhost"} {
		conn, err := d.DialContext(t.Context(), ToMachine, "tcp", net.JoinHostPort(host, portOf(l)))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

// TestDialerChecksEachResolution checks that a name is refused if it first resolves to an
// allowed address and later to a refused one.
func TestDialerChecksEachResolution(t *testing.T) {
	t.Parallel()
	l, n := counted(t, "tcp4")
	var calls atomic.Int32
	d := Dialer{Resolver: guardtest.Resolver(func(string) []string {
		if calls.Add(1) <= 2 { // the resolver asks for both address families
			return []string{"203.0.113.7"}
		}
		return []string{"127.0.0.1"}
	})}
	addrs, err := d.Resolver.LookupNetIP(t.Context(), "ip", "changes.test")
	if err != nil || len(addrs) != 1 || ToPublic.Check(addrs[0]) != nil {
		t.Fatalf("the first resolution returned %v, %v, want one public address", addrs, err)
	}
	if _, err := d.DialContext(t.Context(), ToPublic, "tcp", "changes.test:"+portOf(l)); !errors.Is(err, ErrForbidden) {
		t.Errorf("dialling after the change returned %v, want ErrForbidden", err)
	}
	if n.Load() != 0 {
		t.Error("the dialer connected to the refused address")
	}
}
