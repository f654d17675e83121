package torrent

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"spate/internal/sockerr"
)

// PortError is the error when no port from First to Last could be opened for peers.
type PortError struct {
	First, Last uint16
	Err         error
}

func (e *PortError) Error() string {
	if e.First == e.Last {
		return fmt.Sprintf("peer port %d: %v", e.First, e.Err)
	}
	return fmt.Sprintf("peer ports %d to %d: %v", e.First, e.Last, e.Err)
}

func (e *PortError) Unwrap() error { return e.Err }

// listen opens the listeners that the options ask for.
func (s *Session) listen() error {
	if s.opt.NoListen {
		return nil
	}
	if !s.opt.NoTCP {
		if err := s.listenTCP(); err != nil {
			return err
		}
	}
	if s.opt.UTP == nil {
		return nil
	}
	return s.addListener(s.opt.UTP)
}

// listenTCP opens the first free TCP port of the range.
func (s *Session) listenTCP() error {
	var firstErr error
	for port := int(s.opt.PeerPort); port <= int(s.opt.PeerPortLast); port++ {
		err := s.listenOn(uint16(port))
		if err == nil {
			return nil
		}
		if firstErr == nil {
			firstErr = err
		}
		if !sockerr.Is(err, syscall.EADDRINUSE) && !sockerr.Is(err, syscall.EACCES) {
			break
		}
	}
	return &PortError{s.opt.PeerPort, s.opt.PeerPortLast, firstErr}
}

// listenOn opens one port, for IPv4 and IPv6 unless an address is bound.
func (s *Session) listenOn(port uint16) error {
	host, networks := "", []string{"tcp"}
	if s.opt.Bind.IsValid() {
		host = s.opt.Bind.String()
	}
	l, err := s.opt.Network.Listen(s.ctx, networks[0], net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	return s.addListener(l)
}

func (s *Session) closeListeners() {
	for _, l := range s.listeners {
		l.Close()
	}
	if s.opt.NoListen && s.opt.UTP != nil { // it only dials
		s.opt.UTP.Close()
	}
}

// addListener makes the session accept connections of l. The port of the first listener is that
// of the session.
func (s *Session) addListener(l net.Listener) error {
	ap, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		l.Close()
		return fmt.Errorf("torrent: address of the listener: %w", err)
	}
	s.listeners = append(s.listeners, l)
	s.port = cmp.Or(s.port, ap.Port())
	return nil
}

// PeerPort returns the port that the session listens on, or 0 if it does not listen. Peers on
// the local network are told this port (BEP 14), all others [Session.AdvertisedPort]. PeerPort
// implements [discovery.Swarms].
func (s *Session) PeerPort() uint16 { return s.port }

// Addr returns the address that the session listens on for peers.
func (s *Session) Addr() netip.AddrPort {
	if len(s.listeners) == 0 {
		return netip.AddrPort{}
	}
	ap, _ := netip.ParseAddrPort(s.listeners[0].Addr().String())
	return ap
}
