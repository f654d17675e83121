package daemon

import (
	"errors"
	"net"
	"syscall"

	"spate/internal/sockerr"
	"spate/internal/udpmux"
	"spate/torrent"
)

// anyPortTries bounds the ports that are tried when any will do, until one is free for TCP and
// UDP.
const anyPortTries = 32

// newSession returns an engine that listens, and the UDP port of the same number. It prefers a
// port of the options that is free for both; otherwise it returns no UDP port. If anyPort is set
// and no port is free, it uses any other port.
func (e *Env) newSession(opt torrent.Options, anyPort bool) (*torrent.Session, *udpmux.Mux, error) {
	s, udp, err := listenOnBoth(opt)
	var port *torrent.PortError
	if errors.As(err, &port) && anyPort && !sockerr.Is(port.Err, syscall.EADDRNOTAVAIL) {
		e.Warnf("no port from %d to %d is free for peers; using another free port", opt.PeerPort, opt.PeerPortLast)
		opt.PeerPort, opt.PeerPortLast = 0, 0
		s, udp, err = listenOnBoth(opt)
	}
	if errors.As(err, &port) {
		return nil, nil, listenError(port.Err, "the seed", "tcp", peerAddr(opt.Bind, port.First), "peer-port")
	}
	if err == nil && udp == nil {
		e.Log.Debug("the UDP port of the peers is in use; announces to UDP trackers leave from other ports", "port", s.PeerPort())
	}
	return s, udp, err
}

// listenOnBoth returns an engine on the first port of the options that is free for TCP and UDP.
// If there is none, it returns an engine on the first port that is free for TCP, and no UDP port.
func listenOnBoth(opt torrent.Options) (*torrent.Session, *udpmux.Mux, error) {
	tries := int(max(opt.PeerPort, opt.PeerPortLast)-opt.PeerPort) + 1
	switch {
	case opt.NoListen:
		tries = 0
	case opt.PeerPort == 0:
		tries = anyPortTries
	}
	for i := range tries {
		both := opt
		if opt.PeerPort != 0 {
			both.PeerPort += uint16(i)
		}
		udp, err := udpmux.Listen(opt.Bind, both.PeerPort)
		if err != nil {
			continue
		}
		both.PeerPort, both.PeerPortLast = udp.Port(), udp.Port()
		s, err := torrent.NewSession(both)
		if err == nil {
			return s, udp, nil
		}
		udp.Close()
		var port *torrent.PortError
		if !errors.As(err, &port) {
			return nil, nil, err
		}
	}
	s, err := torrent.NewSession(opt)
	return s, nil, err
}

// dialTracker returns a connection to a UDP tracker on the UDP port of the peers. Without such a
// port, its error makes the tracker client use a socket of its own.
func dialTracker(udp *udpmux.Mux, address string) (net.Conn, error) {
	if udp == nil {
		return nil, errors.ErrUnsupported
	}
	return udp.DialTracker(address)
}
