package torrent

import (
	"net/netip"
	"slices"
	"time"

	"spate/internal/netguard"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
)

// Two peers behind routers connect with the help of a relay, a peer that is connected to both
// (BEP 55). One of them, the initiator, sends the relay a rendezvous message. The relay sends both
// a connect message, and both dial each other over uTP at once, so that each router takes the
// packets of the other side for answers. This file handles the messages, punch.go dials.
//
// The messages must never help an attack on others:
//
//   - A relay sends messages on connections that exist, and packets to nobody else. It names the
//     address from which a peer is connected; a peer chooses at most the port.
//   - A relay introduces two addresses once in [punchEvery], and the limits below bound how often
//     it asks a peer to dial, and how often one address can make it do so.
//   - A peer that gets a connect message dials public addresses only, within the limits of
//     [punches].

// Limits of the messages.
const (
	punchEvery      = time.Minute
	maxRendezvous   = 20   // rendezvous messages of a connection that are handled in punchEvery
	maxIntroduced   = 30   // introductions to one peer in punchEvery
	maxIntroducedBy = 4    // introductions to one peer in punchEvery that one address asks for
	maxPairs        = 4096 // introductions of a session in punchEvery
)

// holepunchLocked handles a holepunch message. Messages of a peer that does not support them are
// ignored (BEP 55).
func (c *conn) holepunchLocked(payload []byte, now time.Time) error {
	m, err := peerwire.ParseHolepunch(payload)
	if err != nil || c.ext.handshake.Holepunch == 0 || !c.t.punchAllowed() {
		return err
	}
	switch m.Type {
	case peerwire.HolepunchRendezvous:
		return c.rendezvousAskedLocked(m.Addr, now)
	case peerwire.HolepunchConnect:
		c.connectAskedLocked(m.Addr, now)
	case peerwire.HolepunchFailed:
		c.rendezvousFailedLocked(m.Addr, now)
	}
	return nil
}

// punchAllowed reports whether the torrent uses holepunch messages. A private torrent takes peers
// from its trackers only (BEP 27).
func (t *Torrent) punchAllowed() bool { return t.s.opt.UTP != nil && t.pexAllowed() }

// sendHolepunchLocked queues a holepunch message.
func (c *conn) sendHolepunchLocked(m peerwire.HolepunchMessage) {
	c.tx.control = peerwire.AppendHolepunch(c.tx.control, c.ext.handshake.Holepunch, &m)
	c.kickLocked()
}

// rendezvousAskedLocked introduces the peer to another peer, or answers why not. It ignores
// requests beyond the limits.
func (c *conn) rendezvousAskedLocked(addr netip.AddrPort, now time.Time) error {
	if len(c.tx.control) > maxUnsent {
		return errFlood
	}
	if now.Sub(c.ext.rendezvousSince) >= punchEvery {
		c.ext.rendezvousSince, c.ext.rendezvous = now, 0
	}
	c.ext.rendezvous++
	if c.ext.rendezvous > maxRendezvous {
		return nil
	}
	other, why := c.introducibleLocked(addr)
	if why != 0 {
		c.sendHolepunchLocked(peerwire.HolepunchMessage{Type: peerwire.HolepunchFailed, Addr: addr, Err: why})
		return nil
	}
	from, to := c.punchAddrLocked(), other.punchAddrLocked()
	if len(other.tx.control) > maxUnsent || !c.t.s.punches.mayIntroduce(from, to, now) {
		return nil
	}
	c.sendHolepunchLocked(peerwire.HolepunchMessage{Type: peerwire.HolepunchConnect, Addr: to})
	other.sendHolepunchLocked(peerwire.HolepunchMessage{Type: peerwire.HolepunchConnect, Addr: from})
	c.t.log.Debug("introduced two peers", "peer", from, "other", to)
	return nil
}

// introducibleLocked returns the connection of the peer at addr, if it can be introduced to c.
func (c *conn) introducibleLocked(addr netip.AddrPort) (*conn, peerwire.HolepunchError) {
	from := c.punchAddrLocked()
	switch {
	case !mayPunch(addr) || !mayPunch(from) || addr.Addr().Is6() != from.Addr().Is6():
		return nil, peerwire.HolepunchNoSuchPeer
	case c.listLocked().Self(addr):
		return nil, peerwire.HolepunchNoSelf
	}
	other := c.t.connAtLocked(addr, c)
	switch {
	case other == nil:
		return nil, peerwire.HolepunchNotConnected
	case other == c:
		return nil, peerwire.HolepunchNoSuchPeer
	case other.ext.handshake.Holepunch == 0:
		return nil, peerwire.HolepunchNoSupport
	case !mayPunch(other.punchAddrLocked()):
		return nil, peerwire.HolepunchNoSuchPeer
	}
	return other, 0
}

// mayPunch reports whether holepunch messages may name an address: a public one, without the port
// of another service.
func mayPunch(a netip.AddrPort) bool {
	return a.Port() != 0 && netguard.KindOf(a.Addr()) == netguard.Public && !netguard.ServicePort(a.Port())
}

// connAtLocked returns the connection to the peer at addr in a swarm that c takes part in, or nil.
// addr is what peer exchange names, or the address of the connection.
func (t *Torrent) connAtLocked(addr netip.AddrPort, c *conn) *conn {
	for _, o := range t.peerConns.byID {
		if o != nil && !o.end.gone && (o.peer.twin == c.peer.twin || o.servesBothLocked()) && (o.ext.listens == addr || o.punchAddrLocked() == addr) {
			return o
		}
	}
	return nil
}

// connectedToLocked reports whether a peer at addr is connected in any swarm of the torrent.
func (t *Torrent) connectedToLocked(addr netip.AddrPort) bool {
	for _, o := range t.peerConns.byID {
		if o != nil && !o.end.gone && (o.ext.listens == addr || o.peer.transport == UTP && o.peer.addr == addr) {
			return true
		}
	}
	return false
}

// listedLocked reports whether a connected peer listens at addr, so that its candidate counts as
// connected.
func (t *Torrent) listedLocked(addr netip.AddrPort) bool {
	return slices.ContainsFunc(t.peerConns.byID, func(o *conn) bool { return o != nil && !o.end.gone && o.ext.listens == addr })
}

// punchAddrLocked returns the address at which the router of the peer would let a hole through: the
// one from which it is connected over uTP, because a peer uses one UDP port for all, or else the
// one at which it listens. It is not valid if it is not known.
func (c *conn) punchAddrLocked() netip.AddrPort {
	if c.peer.transport == UTP {
		return c.peer.addr
	}
	return c.ext.listens
}

// namedLocked returns the address by which peer exchange names the peer, or an address that is not
// valid: the one at which the peer listens. A peer that does not say where it listens may be
// reached through a hole at the address from which it is connected.
func (c *conn) namedLocked() netip.AddrPort {
	if !c.ext.listens.IsValid() && c.peer.transport == UTP && c.ext.handshake.Holepunch != 0 && c.ext.handshake.Port == 0 {
		return c.peer.addr
	}
	return c.ext.listens
}

// connectAskedLocked handles a connect message: it dials the address over uTP. It ignores the
// message if it is not allowed, beyond the limits, or if the peer is connected.
func (c *conn) connectAskedLocked(addr netip.AddrPort, now time.Time) {
	t, list := c.t, c.listLocked()
	switch {
	case !mayPunch(addr) || !mayName(c.peer.addr.Addr(), addr.Addr()):
	case !list.Usable(addr, peerlist.SourcePEX) || list.Banned(addr) || t.connectedToLocked(addr):
	case !t.runsLocked():
	case !t.mayDialLocked(now) || !t.s.punches.take(addr, c.peer.addr.Addr(), now):
	case !t.s.reserve(true):
		t.s.punches.giveBack(addr)
	default:
		list.Take(addr)
		t.peerConns.dialing++
		t.life.goroutines.Go(func() { t.punch(addr, list) })
	}
}
