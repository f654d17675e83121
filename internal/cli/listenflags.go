package cli

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"spate/internal/daemon"
	"spate/internal/fault"
)

// off is the value that disables --udp, --redirect or --log.
const off = "off"

// listenFlags are the flags for the addresses of HTTP and the UDP tracker.
type listenFlags struct {
	listen    string // --listen
	udp       string // value of --udp; empty: the port of --listen
	bind      addrValue
	reusePort bool
}

// config converts the flags. who is the name of the listener in errors, such as "the tracker".
func (l *listenFlags) config(who string) (c daemon.ListenConfig, err error) {
	c = daemon.ListenConfig{ReusePort: l.reusePort, NoUDP: strings.EqualFold(l.udp, off), Who: who}
	if c.HTTP, err = bound("--listen", l.listen, "6969", l.bind.Addr); err != nil {
		return c, err
	}
	if l.udp != "" && !c.NoUDP {
		c.UDP, err = bound("--udp", l.udp, "6969", l.bind.Addr)
	}
	return c, err
}

// bound returns address, which is written as ":6969", "IP:6969", "6969" or "IP", as HOST:PORT.
// The host is bind if the address has none and bind is valid. bound returns an error that
// names the flag if the address is malformed or contradicts bind.
func bound(flag, address, defaultPort string, bind netip.Addr) (string, error) {
	bad := func(why string) error {
		return fault.UsageHint("write :PORT or IP:PORT; port 0 is any free one", "%s %s: %s", flag, address, why)
	}
	host, port := "", address
	switch {
	case address == "":
		port = defaultPort
	case strings.HasPrefix(address, "["), strings.Count(address, ":") == 1:
		var err error
		if host, port, err = net.SplitHostPort(address); err != nil {
			return "", bad("not an address")
		}
	case strings.ContainsAny(address, ".:"):
		host, port = address, defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return "", bad("the port is not a number from 0 to 65535")
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", bad("the host is not an IP address of this machine")
		}
	}
	if bind.IsValid() {
		if host != "" && host != bind.String() {
			return "", fault.Usagef("%s %s and --bind %s name different addresses", flag, address, bind.String())
		}
		host = bind.String()
	}
	return net.JoinHostPort(host, port), nil
}
