package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"spate/internal/fault"
)

// listenFlags are where HTTP and the UDP tracker listen.
type listenFlags struct {
	listen string // --listen
	udp    string // --udp: "" is the port of listen, "off" is none
	bind   addrValue

	reusePort bool // others may listen there too
}

// sockets are what listens. udp is nil when it is off.
type sockets struct {
	http net.Listener
	udp  net.PacketConn
}

func (s *sockets) close() {
	if s.http != nil {
		s.http.Close()
	}
	if s.udp != nil {
		s.udp.Close()
	}
}

// httpAddr and udpAddr are the real addresses; udpAddr is "" when it is off.
func (s *sockets) httpAddr() netip.AddrPort { return addrPortOf(s.http.Addr()) }

func (s *sockets) udpAddr() string {
	if s.udp == nil {
		return ""
	}
	return addrPortOf(s.udp.LocalAddr()).String()
}

func addrPortOf(a net.Addr) netip.AddrPort {
	ap, _ := netip.ParseAddrPort(a.String())
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// bound returns address as ":6969", "host:6969", "6969" or "host" with the
// bind address as its host where it has none.
func (l *listenFlags) bound(flag, address, defaultPort string) (string, error) {
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
	if l.bind.IsValid() {
		if host != "" && host != l.bind.String() {
			return "", fault.Usagef("%s %s and --bind %s are not one address", flag, address, l.bind.String())
		}
		host = l.bind.String()
	}
	return net.JoinHostPort(host, port), nil
}

// open listens on both. For port 0 the two get one number when they can.
func (l *listenFlags) open(ctx context.Context, who string) (*sockets, error) {
	address, err := l.bound("--listen", l.listen, "6969")
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(address)
	for try := 0; ; try++ {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false) // makes each connection cost more, and peers and browsers do not use it
		if l.reusePort {
			lc.Control = reusePort
		}
		s := &sockets{}
		if s.http, err = lc.Listen(ctx, "tcp", address); err != nil {
			return nil, listenError(err, who, "tcp", address, "--listen")
		}
		if strings.EqualFold(l.udp, "off") {
			return s, nil
		}
		udp := net.JoinHostPort(host, strconv.Itoa(int(s.httpAddr().Port())))
		if l.udp != "" {
			if udp, err = l.bound("--udp", l.udp, "6969"); err != nil {
				s.close()
				return nil, err
			}
		}
		if s.udp, err = lc.ListenPacket(ctx, "udp", udp); err == nil {
			return s, nil
		}
		s.close()
		if l.udp != "" || port != "0" || try >= 20 || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, listenError(err, who+" over UDP", "udp", udp, "--udp")
		}
	}
}

// listenError says who wanted the address and what to choose instead.
func listenError(err error, who, network, address, flag string) error {
	hint, port := "choose another address with "+flag+" IP:PORT", flag+" :PORT"
	if flag == "--peer-port" {
		hint, port = "choose another address with --bind IP", flag+" PORT"
	}
	what := "%s wants to listen on %s (%s): %w"
	if errors.Is(err, context.Canceled) {
		return err
	}
	reason := err
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		reason = fmt.Errorf("the port is taken by another program%w", fault.Quiet(err))
		hint = "choose another port with " + port + " (0: any free one), or stop what listens there"
	case errors.Is(err, fs.ErrPermission):
		reason = fmt.Errorf("not permitted to this user%w", fault.Quiet(err))
		hint = "ports below 1024 are for root: choose another with " + port
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		reason = fmt.Errorf("no address of this machine%w", fault.Quiet(err))
	}
	return fault.New(fault.Network, hint, what, who, address, network, reason)
}
