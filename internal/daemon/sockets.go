package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"spate/internal/fault"
	"spate/internal/sockerr"
)

// ListenConfig configures the addresses of HTTP and the UDP tracker.
type ListenConfig struct {
	HTTP      string // HOST:PORT; port 0 is any free port
	UDP       string // HOST:PORT; empty is the address of HTTP
	NoUDP     bool   // open no UDP socket
	ReusePort bool   // another process may listen on the same addresses
	Who       string // name of the listener in errors, such as "the tracker"
	Setting   string // the setting with the address of HTTP; empty is "listen"
}

// sockets are the sockets of HTTP and of the UDP tracker.
type sockets struct {
	http net.Listener
	udp  net.PacketConn // nil without a UDP tracker
}

func (s *sockets) close() {
	if s.http != nil {
		s.http.Close()
	}
	if s.udp != nil {
		s.udp.Close()
	}
}

// httpAddr returns the address of the HTTP socket.
func (s *sockets) httpAddr() netip.AddrPort { return addrPortOf(s.http.Addr()) }

// udpAddr returns the address of the UDP socket, or "" if there is none.
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

// open opens the sockets. If the port is 0, it tries to use the same port number for both.
func (l *ListenConfig) open(ctx context.Context) (*sockets, error) {
	host, port, err := net.SplitHostPort(l.HTTP)
	if err != nil {
		return nil, err
	}
	setting := l.Setting
	if setting == "" {
		setting = "listen"
	}
	for try := 0; ; try++ {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false) // Multipath TCP makes each connection more expensive, and peers and browsers do not use it
		if l.ReusePort {
			lc.Control = reusePort
		}
		s := &sockets{}
		if s.http, err = lc.Listen(ctx, "tcp", l.HTTP); err != nil {
			return nil, listenError(err, l.Who, "tcp", l.HTTP, setting)
		}
		if l.NoUDP {
			return s, nil
		}
		udp := l.UDP
		if udp == "" {
			udp = net.JoinHostPort(host, strconv.Itoa(int(s.httpAddr().Port())))
		}
		if s.udp, err = lc.ListenPacket(ctx, "udp", udp); err == nil {
			return s, nil
		}
		s.close()
		if l.UDP != "" || port != "0" || try >= 20 || !sockerr.Is(err, syscall.EADDRINUSE) {
			return nil, listenError(err, l.Who+" over UDP", "udp", udp, "udp")
		}
	}
}

// ProbeListen returns a [ListenError] if the addresses of a site cannot be listened on now.
func ProbeListen(ctx context.Context, c ListenConfig) error {
	s, err := c.open(ctx)
	if err == nil {
		s.close()
	}
	return err
}

// ListenError is the error if a local address cannot be listened on.
type ListenError struct {
	Who     string // name of the listener, such as "the tracker"
	Network string // "tcp" or "udp"
	Addr    string
	Setting string // the setting with the address
	Err     error
}

// Error implements error.
func (e *ListenError) Error() string {
	why := e.Err.Error()
	switch {
	case sockerr.Is(e.Err, syscall.EADDRINUSE):
		why = "the port is taken by another program"
	case errors.Is(e.Err, fs.ErrPermission), sockerr.Is(e.Err, syscall.EACCES):
		why = "not permitted to this user"
	case sockerr.Is(e.Err, syscall.EADDRNOTAVAIL):
		why = "no address of this machine"
	}
	return fmt.Sprintf("%s cannot listen on %s (%s): %s", e.Who, e.Addr, e.Network, why)
}

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// listenError returns a [ListenError] with a code, or err if the context was cancelled.
func listenError(err error, who, network, addr, setting string) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &fault.Error{Code: fault.Network, Err: &ListenError{who, network, addr, setting, err}}
}
