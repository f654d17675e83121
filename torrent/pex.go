package torrent

import (
	"net/netip"
	"time"

	"spate/discovery"
	"spate/internal/netguard"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
)

// Times between PEX messages in one direction (BEP 11). Messages that arrive sooner are
// ignored; the minimum for received messages is shorter, because clocks differ.
const (
	pexEvery  = time.Minute
	minPEXGap = 45 * time.Second
)

// pexState is the state of peer exchange with one peer.
type pexState struct {
	told     map[netip.AddrPort]bool // addresses that were sent to the peer as added and not yet as dropped
	sent     time.Time               // when the last message was sent to the peer
	received time.Time               // when the last message from the peer arrived
}

// pexAllowed reports whether the torrent exchanges addresses with peers. A private torrent
// never does (BEP 27).
func (t *Torrent) pexAllowed() bool { return !t.info.Private && !t.s.opt.NoPEX }

// mayName reports whether peer exchange with a peer may name the address other, in either
// direction: other is not nearer to the machine of either side than the two sides are to each
// other. A public peer cannot connect to private addresses here, and must not make this side
// connect to them.
func mayName(peer, other netip.Addr) bool { return netguard.From(peer).Check(other) == nil }

// pexLocked handles a PEX message.
func (c *conn) pexLocked(payload []byte, now time.Time) error {
	if !c.t.pexAllowed() || now.Sub(c.ext.pex.received) < minPEXGap {
		return nil
	}
	c.ext.pex.received = now
	m, err := peerwire.ParsePEX(payload)
	if err != nil {
		return err
	}
	for i, a := range m.Added {
		if !mayName(c.peer.addr.Addr(), a.Addr()) {
			continue
		}
		addCandidate(c.listLocked(), discovery.Candidate{Addr: a, Seed: m.Flags[i]&peerwire.PEXSeed != 0}, peerlist.SourcePEX, now)
	}
	return nil
}

// tellPEXLocked tells the peer, at most once a minute, which peers are connected and which
// have left.
func (c *conn) tellPEXLocked(now time.Time) {
	t := c.t
	if c.ext.handshake.PEX == 0 || !t.pexAllowed() || now.Sub(c.ext.pex.sent) < pexEvery {
		return
	}
	var m peerwire.PEXMessage
	connected := map[netip.AddrPort]bool{}
	for _, o := range t.peerConns.byID {
		if o == nil || o == c || o.end.gone || o.peer.twin != c.peer.twin && !o.servesBothLocked() || !o.ext.listens.IsValid() || o.ext.listens.Addr().Zone() != "" || !mayName(c.peer.addr.Addr(), o.ext.listens.Addr()) {
			continue
		}
		connected[o.ext.listens] = true
		if c.ext.pex.told[o.ext.listens] || len(m.Added) == peerwire.MaxPEX {
			continue
		}
		flags := peerwire.PEXFlags(0)
		if t.pick.PeerIsSeed(o.id) {
			flags |= peerwire.PEXSeed
		}
		if !o.peer.incoming {
			flags |= peerwire.PEXReachable
		}
		m.Added, m.Flags = append(m.Added, o.ext.listens), append(m.Flags, flags)
	}
	for a := range c.ext.pex.told {
		if !connected[a] && len(m.Dropped) < peerwire.MaxPEX {
			m.Dropped = append(m.Dropped, a)
		}
	}
	c.ext.pex.sent = now
	if len(m.Added)+len(m.Dropped) == 0 {
		return
	}
	if c.ext.pex.told == nil {
		c.ext.pex.told = map[netip.AddrPort]bool{}
	}
	for _, a := range m.Added {
		c.ext.pex.told[a] = true
	}
	for _, a := range m.Dropped {
		delete(c.ext.pex.told, a)
	}
	c.tx.control = peerwire.AppendPEX(c.tx.control, c.ext.handshake.PEX, &m)
}
