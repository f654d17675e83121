package torrent

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// The transport that is dialled first has a head start, in which most peers answer, so that
// few dials use both transports.
const (
	headStart      = 400 * time.Millisecond
	shortHeadStart = 150 * time.Millisecond // if both transports are likely to reach the peer
	// utpDialTimeout is shorter than dialTimeout, because a router that drops uTP must not
	// keep a slot of Options.MaxHalfOpen for long after TCP was refused. uTP sends its first
	// packet again after 1 and 3 seconds.
	utpDialTimeout = 5 * time.Second
	// utpAfterTCP is how long a dial over uTP goes on after TCP has failed, so that peers that
	// are gone hold such a slot for a short time. It is enough for the answer to the second packet.
	utpAfterTCP = 2 * time.Second
)

// dialed is the outcome of a dial over one transport.
type dialed struct {
	nc   net.Conn
	err  error
	over Transport
}

// dialPeer connects to a peer. If the session has both transports, dialPeer begins with the
// likelier one, and dials the other one too when the first one has failed or its head start is
// over. It returns the first connection and gives up the other dial. If both fail, the error
// is that of TCP, which says more.
func (s *Session) dialPeer(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	switch {
	case s.opt.UTP == nil:
		return s.dialOver(ctx, TCP, addr)
	case s.opt.NoTCP:
		return s.dialOver(ctx, UTP, addr)
	}
	first, both := s.transports.first(addr)
	wait := headStart
	if both {
		wait = shortHeadStart
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialed, 2)
	running := 0
	dial := func(over Transport) {
		running++
		go func() {
			nc, err := s.dialOver(ctx, over, addr)
			results <- dialed{nc, err, over}
		}()
	}
	dial(first)
	second := time.NewTimer(wait)
	defer second.Stop()
	var late <-chan time.Time // when uTP is given up, because TCP has failed
	begun, failed := false, error(nil)
	for {
		select {
		case <-second.C:
		case r := <-results:
			running--
			if r.err == nil {
				cancel()
				if running > 0 {
					closeDialed(<-results)
				}
				return r.nc, nil
			}
			if failed == nil || r.over == TCP {
				failed = r.err
			}
			if r.over == TCP {
				giveUp := time.NewTimer(utpAfterTCP)
				defer giveUp.Stop()
				late = giveUp.C
			}
		case <-late:
			cancel()
			late = nil
			continue
		}
		switch {
		case !begun:
			begun = true
			dial(first.other())
		case running == 0:
			return nil, failed
		}
	}
}

// closeDialed closes the connection of a dial that lost the race, if it succeeded after all.
func closeDialed(r dialed) {
	if r.err == nil {
		r.nc.Close()
	}
}

// dialOver connects to a peer over one transport.
func (s *Session) dialOver(ctx context.Context, over Transport, addr netip.AddrPort) (net.Conn, error) {
	if s.blocked(addr.Addr()) {
		return nil, errBlocked
	}
	if over == TCP {
		return s.opt.Network.DialContext(ctx, "tcp", addr.String())
	}
	s.transports.dials(addr.Addr())
	ctx, cancel := context.WithTimeout(ctx, utpDialTimeout)
	defer cancel()
	return s.opt.UTP.Dial(ctx, addr)
}
