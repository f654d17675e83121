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
func (e *Env) newSession(opt torrent.Options, use portUse, anyPort bool) (*torrent.Session, *udpmux.Mux, error) {
	s, udp, err := e.listenOnBoth(opt, use)
	var port *torrent.PortError
	if errors.As(err, &port) && anyPort && !sockerr.Is(port.Err, syscall.EADDRNOTAVAIL) {
		e.Warnf("no port from %d to %d is free for peers; using another free port", opt.PeerPort, opt.PeerPortLast)
		opt.PeerPort, opt.PeerPortLast = 0, 0
		s, udp, err = e.listenOnBoth(opt, use)
	}
	if errors.As(err, &port) {
		network := "tcp"
		if opt.NoTCP {
			network = "udp"
		}
		return nil, nil, listenError(port.Err, "the seed", network, peerAddr(opt.Bind, port.First), "peer-port")
	}
	if err == nil && udp == nil && !opt.NoListen {
		e.Log.Debug("the UDP port of the peers is in use; peers connect by TCP only, and announces to UDP trackers leave from other ports", "port", s.PeerPort())
	}
	return s, udp, err
}

// listenOnBoth returns an engine on the first port of the options that is free for TCP and UDP.
// If there is none, it returns an engine on the first port that is free for TCP, and no UDP port,
// or an error if the options turn off TCP. The engine uses the UDP port as use says.
func (e *Env) listenOnBoth(opt torrent.Options, use portUse) (*torrent.Session, *udpmux.Mux, error) {
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
		s, err := e.sessionOn(both, udp, use)
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

// portUse says which protocols an engine has on the UDP port of the peers.
type portUse struct {
	noUTP, noWebRTC bool
	at              *channelAddr // for WebRTC
}

// sessionOn returns an engine with uTP and WebRTC on a UDP port, unless use turns them off.
func (e *Env) sessionOn(opt torrent.Options, udp *udpmux.Mux, use portUse) (_ *torrent.Session, err error) {
	if !use.noWebRTC {
		if opt.WebRTC, err = e.openWebRTC(udp, opt.Bind, use.at); err != nil {
			return nil, err
		}
	}
	if use.noUTP {
		notutp.Refuse(udp)
	} else if opt.UTP, err = e.openUTP(udp, opt.Bind); err != nil {
		closeAll(opt)
		return nil, err
	}
	s, err := torrent.NewSession(opt)
	if err != nil {
		closeAll(opt)
	}
	return s, err
}

// closeAll closes the transports of an engine that was not started.
func closeAll(opt torrent.Options) {
	if opt.UTP != nil {
		opt.UTP.Close()
	}
	if opt.WebRTC != nil {
		opt.WebRTC.Close()
	}
}

// dialTracker returns a connection to a UDP tracker on the UDP port of the peers. Without such a
// port, its error makes the tracker client use a socket of its own.
func dialTracker(udp *udpmux.Mux, address string) (net.Conn, error) {
	if udp == nil {
		return nil, errors.ErrUnsupported
	}
	return udp.DialTracker(address)
}
