package torrent

import (
	"net/netip"
	"time"

	"spate/discovery"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
)

// Pace of peer exchange (BEP 11): no more than one message a minute each way.
// What comes faster than that, less some slack for clocks, is dropped.
const (
	pexEvery    = time.Minute
	pexLeastGap = 45 * time.Second
)

// pexState is what a connection told and heard of other peers.
type pexState struct {
	told  map[netip.AddrPort]bool // what the peer knows from us
	sent  time.Time
	heard time.Time
}

// pexAllowed reports whether addresses are exchanged with peers: never for a
// private torrent (BEP 27).
func (t *Torrent) pexAllowed() bool { return !t.info.Private && !t.s.opt.NoPEX }

// pexLocked takes addresses from the peer.
func (c *conn) pexLocked(payload []byte, now time.Time) error {
	if !c.t.pexAllowed() || now.Sub(c.pex.heard) < pexLeastGap {
		return nil
	}
	c.pex.heard = now
	m, err := peerwire.ParsePEX(payload)
	if err != nil {
		return err
	}
	for i, a := range m.Added {
		addCandidate(c.t.peers, discovery.Candidate{Addr: a, Seed: m.Flags[i]&peerwire.PEXSeed != 0}, peerlist.SourcePEX, now)
	}
	return nil
}

// tellPEXLocked tells the peer, at most once a minute, whom we are connected to
// and who has left.
func (c *conn) tellPEXLocked(now time.Time) {
	t := c.t
	if c.ext.PEX == 0 || !t.pexAllowed() || now.Sub(c.pex.sent) < pexEvery {
		return
	}
	var m peerwire.PEXMessage
	here := map[netip.AddrPort]bool{}
	for _, o := range t.conns {
		if o == nil || o == c || o.gone || !o.listens.IsValid() || o.listens.Addr().IsLoopback() && !c.addr.Addr().IsLoopback() {
			continue
		}
		here[o.listens] = true
		if c.pex.told[o.listens] || len(m.Added) == peerwire.MaxPEX {
			continue
		}
		flags := peerwire.PEXFlags(0)
		if t.pick.PeerIsSeed(o.id) {
			flags |= peerwire.PEXSeed
		}
		if !o.incoming {
			flags |= peerwire.PEXReachable
		}
		m.Added, m.Flags = append(m.Added, o.listens), append(m.Flags, flags)
	}
	for a := range c.pex.told {
		if !here[a] && len(m.Dropped) < peerwire.MaxPEX {
			m.Dropped = append(m.Dropped, a)
		}
	}
	c.pex.sent = now
	if len(m.Added)+len(m.Dropped) == 0 {
		return
	}
	if c.pex.told == nil {
		c.pex.told = map[netip.AddrPort]bool{}
	}
	for _, a := range m.Added {
		c.pex.told[a] = true
	}
	for _, a := range m.Dropped {
		delete(c.pex.told, a)
	}
	c.out = peerwire.AppendPEX(c.out, c.ext.PEX, &m)
}
