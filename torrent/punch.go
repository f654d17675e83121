package torrent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"spate/peerwire"
	"spate/torrent/internal/peerlist"
)

// Limits of punching.
const (
	maxRelays     = 3    // relays that are remembered for an address
	maxHoles      = 1024 // addresses of a torrent with relays
	maxHolesOf    = 200  // addresses that one relay names
	maxPunches    = 16   // punches of a session in progress
	maxAllPunches = 60   // punches of a session in punchEvery
	maxPunchesAt  = 4    // punches in punchEvery at ports of one address
	// punchTimeout lets uTP send its first packet four times: at once, and after 1, 3 and 7 seconds.
	punchTimeout = 8 * time.Second
	// directPatience limits a direct dial to a peer with a relay. Most peers that can be reached
	// answer the first or the second packet, which uTP and TCP send within 1.4 seconds.
	directPatience = 4 * time.Second
	// A hole can fail because packets were lost or one side was late. So a relay is asked again,
	// later than punchEvery, because the relay and the peer count that time from later on.
	askAgainAfter = punchEvery + 5*time.Second
	maxAskAgain   = 3 // for each address; later, a relay is asked after each direct dial that failed
)

// holes are what a torrent knows of the way to peers behind routers. Torrent.mu guards it. The zero
// value is ready to use.
type holes struct {
	known  map[netip.AddrPort]*hole
	direct map[netip.AddrPort]*directDial // direct dials in progress
}

// hole is a peer that supports holepunch messages, as peer exchange says.
type hole struct {
	relays []*conn   // those that named the peer, the next one to ask first
	asked  *conn     // the relay that was asked last
	at     time.Time // when it was asked
	met    bool      // a peer at the host has been connected, at whichever port
	again  int       // how often a relay was asked again without another direct dial
}

// directDial is a dial without a relay.
type directDial struct {
	since time.Time
	stop  context.CancelFunc
	cut   bool // stop was called, because a relay can help
}

// introduceLocked records that peer exchange with c names a peer that supports holepunch messages.
// c can be its relay. If a direct dial has failed already, c is asked at once.
func (c *conn) introduceLocked(addr netip.AddrPort, now time.Time) {
	t := c.t
	if c.ext.handshake.Holepunch == 0 || !t.punchAllowed() || !mayPunch(addr) || !c.listLocked().Usable(addr, peerlist.SourcePEX) {
		return
	}
	h := t.holes.known[addr]
	switch {
	case h != nil && slices.Contains(h.relays, c):
		return
	case c.ext.introduced >= maxHolesOf || h != nil && len(h.relays) >= maxRelays:
		return
	case h == nil:
		if len(t.holes.known) >= maxHoles {
			for other := range t.holes.known { // any one
				t.holes.forget(other)
				break
			}
		}
		if t.holes.known == nil {
			t.holes.known = map[netip.AddrPort]*hole{}
		}
		h = &hole{}
		t.holes.known[addr] = h
	}
	h.relays = append(h.relays, c)
	c.ext.introduced++
	if c.listLocked().FailedLast(addr) {
		t.rendezvousLocked(addr, now)
	}
}

// forget removes an address.
func (s *holes) forget(addr netip.AddrPort) {
	for _, c := range s.known[addr].relays {
		c.ext.introduced--
	}
	delete(s.known, addr)
}

// unrelayLocked records that c is no relay to addr any more.
func (c *conn) unrelayLocked(addr netip.AddrPort) {
	h := c.t.holes.known[addr]
	if h == nil {
		return
	}
	if i := slices.Index(h.relays, c); i >= 0 {
		h.relays = slices.Delete(h.relays, i, i+1)
		c.ext.introduced--
	}
	if h.asked == c {
		h.asked = nil
	}
	if len(h.relays) == 0 {
		delete(c.t.holes.known, addr)
	}
}

// unrelayAllLocked records that c has left.
func (c *conn) unrelayAllLocked() {
	if c.ext.introduced == 0 {
		return
	}
	for addr := range c.t.holes.known {
		c.unrelayLocked(addr)
	}
}

// rendezvousLocked asks a relay to introduce this side to the peer at addr, which could not be
// dialled directly. Each address is asked for once in punchEvery, and the relays take turns.
func (t *Torrent) rendezvousLocked(addr netip.AddrPort, now time.Time) {
	h := t.holes.known[addr]
	if h == nil || now.Sub(h.at) < punchEvery || t.connectedToLocked(addr) {
		return
	}
	for range h.relays {
		c := h.relays[0]
		h.relays = append(h.relays[1:], c)
		if c.end.gone || c.ext.handshake.Holepunch == 0 || len(c.tx.control) > maxUnsent {
			continue // it may have turned the messages off since it named the address (BEP 10)
		}
		h.asked, h.at = c, now
		c.sendHolepunchLocked(peerwire.HolepunchMessage{Type: peerwire.HolepunchRendezvous, Addr: addr})
		t.log.Debug("asked for an introduction", "peer", addr, "relay", c.peer.addr)
		return
	}
}

// rendezvousFailedLocked handles the answer of a relay that it cannot help: another one is asked.
func (c *conn) rendezvousFailedLocked(addr netip.AddrPort, now time.Time) {
	h := c.t.holes.known[addr]
	if h == nil || h.asked != c {
		return
	}
	h.at = time.Time{}
	c.unrelayLocked(addr)
	c.t.rendezvousLocked(addr, now)
}

// tickHolesLocked ends direct dials that a relay can replace, and asks relays again for peers that
// were not reached.
func (t *Torrent) tickHolesLocked(now time.Time) {
	for addr, d := range t.holes.direct {
		if now.Sub(d.since) >= directPatience && t.holes.known[addr] != nil {
			d.cut = true
			d.stop()
		}
	}
	for addr, h := range t.holes.known {
		if !h.met && h.again < maxAskAgain && !h.at.IsZero() && now.Sub(h.at) >= askAgainAfter && t.holes.direct[addr] == nil {
			t.rendezvousLocked(addr, now)
			if h.at.Equal(now) {
				h.again++
			}
		}
	}
}

// meet records that a peer at addr is connected.
func (s *holes) meet(addr netip.Addr) {
	for a, h := range s.known {
		h.met = h.met || a.Addr() == addr
	}
}

// inVain returns the number of addresses for which a relay was asked in vain.
func (s *holes) inVain(now time.Time) (n int) {
	for _, h := range s.known {
		if !h.met && (h.again > 0 || !h.at.IsZero() && now.Sub(h.at) >= 2*punchTimeout) {
			n++
		}
	}
	return n
}

// dialDirect connects to a peer without a relay.
func (t *Torrent) dialDirect(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d := &directDial{since: time.Now(), stop: stop}
	t.mu.Lock()
	if t.holes.direct == nil {
		t.holes.direct = map[netip.AddrPort]*directDial{}
	}
	t.holes.direct[addr] = d
	t.mu.Unlock()
	nc, err := t.s.dialPeer(ctx, addr)
	t.mu.Lock()
	if t.holes.direct[addr] == d {
		delete(t.holes.direct, addr)
	}
	cut := d.cut
	t.mu.Unlock()
	if err != nil && cut {
		err = fmt.Errorf("no answer in %v: %w", directPatience, os.ErrDeadlineExceeded)
	}
	return nc, err
}

// dialHole connects to a peer over uTP while the peer does the same.
func (s *Session) dialHole(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	if s.blocked(addr.Addr()) {
		return nil, errBlocked
	}
	ctx, stop := context.WithTimeout(ctx, punchTimeout)
	defer stop()
	return s.opt.UTP.Dial(ctx, addr)
}

// punch connects to a peer that a relay has told to dial this side. The peer may connect first.
func (t *Torrent) punch(addr netip.AddrPort, list *peerlist.List) {
	nc, hs, err := t.connect(addr, list, t.s.dialHole)
	t.s.punches.end()
	t.s.dialed(err == nil)
	t.mu.Lock()
	t.peerConns.dialing--
	if err != nil && t.holes.direct[addr] == nil && !t.listedLocked(addr) { // the peer may have been faster
		list.SetFailure(addr, failureOf(err))
		list.Unused(addr)
	}
	if err == nil {
		list.Add([]netip.AddrPort{addr}, peerlist.SourcePEX)
	}
	t.mu.Unlock()
	if err != nil {
		t.log.Debug("no connection through the hole", "peer", addr, "err", err)
		return
	}
	t.log.Debug("connected through a hole", "peer", addr)
	c := newConn(t, nc, hs, addr, false)
	c.peer.punched = true
	c.run()
}
