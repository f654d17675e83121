package daemon

import (
	"cmp"
	"errors"
	"net"
	"syscall"

	"spate/internal/notutp"
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
func (e *Env) newSession(opt torrent.Options, noUTP, anyPort bool) (*torrent.Session, *udpmux.Mux, error) {
	s, udp, err := e.listenOnBoth(opt, noUTP)
	var port *torrent.PortError
	if errors.As(err, &port) && anyPort && !sockerr.Is(port.Err, syscall.EADDRNOTAVAIL) {
		e.Warnf("no port from %d to %d is free for peers; using another free port", opt.PeerPort, opt.PeerPortLast)
		opt.PeerPort, opt.PeerPortLast = 0, 0
		s, udp, err = e.listenOnBoth(opt, noUTP)
	}
	if errors.As(err, &port) {
		network := "tcp"
		if opt.NoTCP {
			network = "udp"
		}
		return nil, nil, listenError(port.Err, "the seed", network, peerAddr(opt.Bind, port.First), "peer-port")
	}
	if err == nil && udp == nil {
		e.Log.Debug("the UDP port of the peers is in use; peers connect by TCP only, and announces to UDP trackers leave from other ports", "port", s.PeerPort())
	}
	return s, udp, err
}

// listenOnBoth returns an engine on the first port of the options that is free for TCP and UDP.
// If there is none, it returns an engine on the first port that is free for TCP, and no UDP port,
// or an error if the options turn off TCP. The engine has uTP on the UDP port unless noUTP is set.
func (e *Env) listenOnBoth(opt torrent.Options, noUTP bool) (*torrent.Session, *udpmux.Mux, error) {
	tries := int(max(opt.PeerPort, opt.PeerPortLast)-opt.PeerPort) + 1
	switch {
	case opt.NoListen:
		tries = 0
	case opt.PeerPort == 0:
		tries = anyPortTries
	}
	var failed error
	for i := range tries {
		both := opt
		if opt.PeerPort != 0 {
			both.PeerPort += uint16(i)
		}
		udp, err := udpmux.Listen(opt.Bind, both.PeerPort)
		if err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		both.PeerPort, both.PeerPortLast = udp.Port(), udp.Port()
		s, err := e.sessionOn(both, udp, noUTP)
		if err == nil {
			return s, udp, nil
		}
		udp.Close()
		var port *torrent.PortError
		if !errors.As(err, &port) {
			return nil, nil, err
		}
	}
	if opt.NoTCP && failed != nil {
		return nil, nil, &torrent.PortError{First: opt.PeerPort, Last: max(opt.PeerPort, opt.PeerPortLast), Err: failed}
	}
	s, err := torrent.NewSession(opt)
	return s, nil, err
}

// sessionOn returns an engine with uTP on a UDP port, unless noUTP is set.
func (e *Env) sessionOn(opt torrent.Options, udp *udpmux.Mux, noUTP bool) (*torrent.Session, error) {
	if noUTP {
		notutp.Refuse(udp)
		return torrent.NewSession(opt)
	}
	socket, err := e.openUTP(udp, opt.Bind)
	if err != nil {
		return nil, err
	}
	opt.UTP = socket
	s, err := torrent.NewSession(opt)
	if err != nil {
		socket.Close()
	}
	return s, err
}

// dialTracker returns a connection to a UDP tracker on the UDP port of the peers. Without such a
// port, its error makes the tracker client use a socket of its own.
func dialTracker(udp *udpmux.Mux, address string) (net.Conn, error) {
	if udp == nil {
		return nil, errors.ErrUnsupported
	}
	return udp.DialTracker(address)
}
