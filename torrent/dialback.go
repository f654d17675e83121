package torrent

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
)

// A session connects back to peers that ask for it with a dial-back message, so that they learn
// whether others can reach them. The code in this file must never help an attack on others:
//
//   - The address is that of the connection on which the peer asks, which has completed both
//     handshakes. The peer chooses the port only, of at least [minDialBackPort], and not one of
//     another service.
//   - Each asker causes at most one SYN and one UDP packet in [dialBackEvery], and all askers
//     together [maxDialBacks]. A wait of [dialBackTimeout] ends before the system repeats a SYN.
//   - The UDP packet is not longer than the message that asks for it.

// Limits of the dial-backs of a session.
const (
	dialBackEvery   = time.Minute // minimum time between two dial-backs to an asker, which is an IPv4 address or an IPv6 /64
	maxDialBacks    = 30          // maximum number of dial-backs in dialBackEvery
	minDialBackPort = 1024
	// dialBackTimeout limits the wait for the answer to a SYN. Systems repeat a SYN after a
	// second.
	dialBackTimeout = 900 * time.Millisecond
)

// dialBacks holds the last dial-backs of a session. The zero value is ready to use.
type dialBacks struct {
	mu sync.Mutex
	at map[netip.Prefix]time.Time // time of the dial-back to each asker, for dialBackEvery; guarded by mu
}

// take reports whether the peer at addr may be dialled back now, and records that it is.
func (d *dialBacks) take(addr netip.Addr, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return takeTurn(&d.at, addr, maxDialBacks, now)
}

// takeTurn adds the network of addr to turns unless turns contains it or is full. It first removes
// those that are older than dialBackEvery.
func takeTurn(turns *map[netip.Prefix]time.Time, addr netip.Addr, most int, now time.Time) bool {
	for p, at := range *turns {
		if now.Sub(at) >= dialBackEvery {
			delete(*turns, p)
		}
	}
	network := askerOf(addr)
	if _, ok := (*turns)[network]; ok || len(*turns) >= most {
		return false
	}
	if *turns == nil {
		*turns = map[netip.Prefix]time.Time{}
	}
	(*turns)[network] = now
	return true
}

// askerOf returns the addresses that count as one asker: an IPv4 address, or an IPv6 /64.
func askerOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}

// dialBackLocked handles a dial-back message.
func (c *conn) dialBackLocked(payload []byte, now time.Time) error {
	m, err := peerwire.ParseDialBack(payload)
	if err != nil || c.ext.handshake.DialBack == 0 {
		return err
	}
	switch m.Type {
	case peerwire.DialBackAnswer:
		c.t.s.asks.answered(c, &m)
	case peerwire.DialBackRequest:
		return c.dialBackAskedLocked(&m, now)
	}
	return nil
}

// dialBackAskedLocked handles a request. The dial-back itself runs in another goroutine.
func (c *conn) dialBackAskedLocked(m *peerwire.DialBackMessage, now time.Time) error {
	if len(c.tx.control) > maxUnsent {
		return errFlood
	}
	s, try := c.t.s, *m
	answer := peerwire.DialBackMessage{Type: peerwire.DialBackAnswer, Nonce: m.Nonce}
	if try.TCPPort != 0 && (s.opt.NoTCP || !s.mayDialBack(c.peer.addr.Addr(), try.TCPPort)) {
		answer.TCP, try.TCPPort = peerwire.DialBackFailed, 0
	}
	if try.UDPPort != 0 && (!s.mayDialBack(c.peer.addr.Addr(), try.UDPPort) || s.opt.DialBackUDP == nil) {
		answer.UDP, try.UDPPort = peerwire.DialBackFailed, 0
	}
	switch {
	case try.TCPPort == 0 && try.UDPPort == 0:
	case s.dialBacks.take(c.peer.addr.Addr(), now):
		s.spawn(s.inTurn(func() { c.dialBack(try, answer) }))
		return nil
	default:
		if try.TCPPort != 0 {
			answer.TCP = peerwire.DialBackNotNow
		}
		if try.UDPPort != 0 {
			answer.UDP = peerwire.DialBackNotNow
		}
	}
	c.tx.control = peerwire.AppendDialBack(c.tx.control, c.ext.handshake.DialBack, &answer)
	return nil
}

// mayDialBack reports whether the session dials back a peer at addr at a port that the peer chose.
// A peer that seems to be on this machine may be behind a relay, so it is dialled back only by a
// session that is bound to loopback.
func (s *Session) mayDialBack(addr netip.Addr, port uint16) bool {
	if port < minDialBackPort || netguard.ServicePort(port) {
		return false
	}
	switch netguard.KindOf(addr) {
	case netguard.Public, netguard.Private, netguard.LinkLocal:
		return true
	case netguard.Loopback:
		return s.opt.Bind.IsLoopback()
	}
	return false
}

// dialBack tries the ports of a request, and sends the answer with the outcomes.
func (c *conn) dialBack(m, answer peerwire.DialBackMessage) {
	s, addr := c.t.s, c.peer.addr.Addr()
	if m.UDPPort != 0 {
		answer.UDP = peerwire.DialBackSent
		if err := s.opt.DialBackUDP(netip.AddrPortFrom(addr, m.UDPPort), dialBackPacket(m.Nonce)); err != nil {
			s.log.Debug("no dial-back by UDP", "peer", addr, "err", err)
			answer.UDP = peerwire.DialBackFailed
		}
	}
	if m.TCPPort != 0 {
		answer.TCP = s.dialBackTCP(netip.AddrPortFrom(addr, m.TCPPort), c.peer.id, m.Nonce)
	}
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.end.gone {
		return
	}
	c.tx.control = peerwire.AppendDialBack(c.tx.control, c.ext.handshake.DialBack, &answer)
	c.kickLocked()
}

// dialBackTCP connects to a peer that asked for it, and exchanges handshakes.
func (s *Session) dialBackTCP(addr netip.AddrPort, peer spate.PeerID, nonce peerwire.DialBackNonce) peerwire.DialBackOutcome {
	if !s.reserve(true) {
		return peerwire.DialBackNotNow
	}
	ctx, cancel := context.WithTimeout(s.ctx, dialBackTimeout)
	defer cancel()
	nc, err := s.opt.Network.DialContext(ctx, "tcp", addr.String())
	s.dialed(err == nil)
	if err != nil {
		switch failureOf(err) {
		case peerlist.Refused, peerlist.NoRoute: // a router on the way can refuse with either
			return peerwire.DialBackRefused
		case peerlist.TimedOut:
			return peerwire.DialBackTimedOut
		}
		return peerwire.DialBackFailed
	}
	defer s.hungUp()
	defer nc.Close()
	stop := context.AfterFunc(s.ctx, func() { nc.Close() })
	defer stop()
	nc.SetDeadline(time.Now().Add(handshakeTimeout))
	hash := spate.InfoHash(nonce)
	ours := s.handshake(hash, false)
	if _, err := nc.Write(ours.Append(nil)); err != nil {
		return peerwire.DialBackOther
	}
	if hs, err := readHandshake(nc); err != nil || hs.InfoHash != hash || hs.PeerID != peer {
		return peerwire.DialBackOther
	}
	return peerwire.DialBackReached
}

// Parts of the UDP packet of a dial-back: a ping of the DHT (BEP 5) from a read-only node
// (BEP 43), whose id is the nonce. Routers and firewalls treat it as any packet of a peer.
const (
	dialBackPacketBegin = "d1:ad2:id20:"
	dialBackPacketEnd   = "e1:q4:ping2:roi1e1:t1:b1:y1:qe"
)

func dialBackPacket(nonce peerwire.DialBackNonce) []byte {
	b := append([]byte(dialBackPacketBegin), nonce[:]...)
	return append(b, dialBackPacketEnd...)
}

// dialBackOf returns the nonce of a packet that dialBackPacket made.
func dialBackOf(b []byte) (nonce peerwire.DialBackNonce, ok bool) {
	const at = len(dialBackPacketBegin)
	if len(b) != at+len(nonce)+len(dialBackPacketEnd) || string(b[:at]) != dialBackPacketBegin || string(b[at+len(nonce):]) != dialBackPacketEnd {
		return nonce, false
	}
	copy(nonce[:], b[at:])
	return nonce, true
}
