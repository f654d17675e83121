package cli

import (
	"io/fs"
	"net/netip"
	"syscall"
	"testing"

	"spate/internal/daemon"
	"spate/internal/fault"
)

// TestListenAddresses checks how --bind and an address to listen on combine.
func TestListenAddresses(t *testing.T) {
	for _, c := range []struct{ address, bind, want string }{
		{"", "", ":6969"}, {":80", "", ":80"}, {"80", "", ":80"}, {"127.0.0.1", "", "127.0.0.1:6969"},
		{"127.0.0.1:1", "", "127.0.0.1:1"}, {"[::1]:2", "", "[::1]:2"}, {"::1", "", "[::1]:6969"},
		{":7", "127.0.0.1", "127.0.0.1:7"}, {"", "::1", "[::1]:6969"}, {"127.0.0.1:1", "127.0.0.1", "127.0.0.1:1"},
		{"localhost:1", "", "localhost:1"},
		{":x", "", ""}, {":65536", "", ""}, {"example.org:1", "", ""}, {"127.0.0.1:1", "127.0.0.2", ""}, {"[::1", "", ""},
	} {
		var bind netip.Addr
		if c.bind != "" {
			bind = netip.MustParseAddr(c.bind)
		}
		got, err := bound("--listen", c.address, "6969", bind)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && fault.CodeOf(err) != fault.Usage {
			t.Errorf("--listen %q --bind %q: %q, %v; want %q", c.address, c.bind, got, err, c.want)
		}
	}
}

// TestListenHints checks that the hint of a listen error names the flag of the address.
func TestListenHints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		setting string
		err     error
		want    string
	}{
		{"listen", syscall.EADDRINUSE, "choose another port with --listen :PORT (0: any free port), or stop the process that uses the port"},
		{"udp", fs.ErrPermission, "only root may use ports below 1024: choose another port with --udp :PORT"},
		{"peer-port", syscall.EADDRNOTAVAIL, "choose another address with --bind IP"},
		{"peer-port", syscall.EADDRINUSE, "choose another port with --peer-port PORT (0: any free port), or stop the process that uses the port"},
		{"api", syscall.EADDRNOTAVAIL, "choose another address with --api IP:PORT"},
		{"redirect", fs.ErrPermission, "only root may use ports below 1024: choose another port with --redirect :PORT, or --redirect off"},
	} {
		err := &fault.Error{Code: fault.Network, Err: &daemon.ListenError{Setting: c.setting, Err: c.err}}
		if got := hintFor(err); got != c.want {
			t.Errorf("%s, %v: %q, want %q", c.setting, c.err, got, c.want)
		}
	}
}
