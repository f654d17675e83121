package torrent

import (
	"net/netip"
	"time"

	"spate/discovery"
	"spate/internal/netguard"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
)

// Limits of PEX messages in one direction (BEP 11).
//
// A peer is sent one message a minute on average, and up to pexBurst further ones before,
// seconds apart, so that the members of a young swarm find each other at once. libtorrent
// disconnects a peer that sends more than six a minute.
//
// A peer may name 2*MaxPEX addresses at once, and as many again in pexRefill. The rest is
// ignored. Each message counts as pexMessageCost addresses more than it names.
const (
	pexEvery       = time.Minute
	pexBurst       = 3
	pexRefill      = 45 * time.Second
	pexMessageCost = 10
	maxPEXCredit   = 2*peerwire.MaxPEX + pexMessageCost
	// pexGreeting is how long a peer is not named to others because its extension handshake, which
	// says whether it supports holepunch messages, has not arrived.
	pexGreeting = 5 * time.Second
)

// pexState is the state of peer exchange with one peer.
type pexState struct {
	told     map[netip.AddrPort]bool // addresses that were sent to the peer as added and not yet as dropped
	sent     time.Time               // when the last message was sent to the peer
	due      time.Time               // when the messages that were sent would be over at one each pexEvery
	received time.Time               // when credit was last computed
	credit   float64                 // addresses that the peer may still name
	seen     uint64                  // connTable.changes of which the peer has been told
	again    time.Time               // when a peer counts that was left out as just connected; zero: there was none
}

// maySend reports whether a message may be sent now. The gaps grow with the messages that were
// sent ahead of their time: about 4, 7 and 10 seconds.
func (s *pexState) maySend(now time.Time) bool {
	ahead := s.due.Sub(now)
	return ahead <= pexBurst*pexEvery && now.Sub(s.sent) >= ahead/16
}

// countSent records that a message is sent.
func (s *pexState) countSent(now time.Time) {
	s.sent = now
	if s.due.Before(now) {
		s.due = now
	}
	s.due = s.due.Add(pexEvery)
}

// refill adds the credit of the time that has passed.
func (s *pexState) refill(now time.Time) {
	if s.received.IsZero() {
		s.credit = maxPEXCredit
	} else {
		s.credit = min(maxPEXCredit, s.credit+maxPEXCredit*now.Sub(s.received).Seconds()/pexRefill.Seconds())
	}
	s.received = now
}

// accept reports how many of n addresses in a message the peer may name, and takes the message
// out of its credit.
func (s *pexState) accept(n int) int {
	n = min(n, int(s.credit)-pexMessageCost)
	s.credit -= float64(n + pexMessageCost)
	return n
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
	if !c.t.pexAllowed() {
		return nil
	}
	c.ext.pex.refill(now)
	if c.ext.pex.credit < pexMessageCost {
		return nil
	}
	m, err := peerwire.ParsePEX(payload)
	if err != nil {
		return err
	}
	for i, a := range m.Added[:c.ext.pex.accept(len(m.Added))] {
		if !mayName(c.peer.addr.Addr(), a.Addr()) {
			continue
		}
		if m.Flags[i]&peerwire.PEXUTP != 0 && c.t.s.opt.UTP != nil {
			c.t.s.transports.supportsUTP(a)
		}
		addCandidate(c.listLocked(), discovery.Candidate{Addr: a, Seed: m.Flags[i]&peerwire.PEXSeed != 0}, peerlist.SourcePEX, now)
		if m.Flags[i]&peerwire.PEXHolepunch != 0 {
			c.introduceLocked(a, now)
		}
	}
	for _, a := range m.Dropped {
		c.unrelayLocked(a)
	}
	return nil
}

// tellPEXLocked tells the peer which peers have connected and which have left since the last
// message.
func (c *conn) tellPEXLocked(now time.Time) {
	t := c.t
	if c.ext.handshake.PEX == 0 || !t.pexAllowed() || !c.ext.pex.maySend(now) {
		return
	}
	if c.ext.pex.seen == t.peerConns.changes && (c.ext.pex.again.IsZero() || now.Before(c.ext.pex.again)) {
		return
	}
	t.peerConns.looks++
	var m peerwire.PEXMessage
	connected := map[netip.AddrPort]bool{}
	var again time.Time
	for _, o := range t.peerConns.byID {
		if o == nil || o == c || o.end.gone || o.peer.twin != c.peer.twin && !o.servesBothLocked() {
			continue
		}
		named := o.namedLocked()
		if !named.IsValid() || named.Addr().Zone() != "" || !mayName(c.peer.addr.Addr(), named.Addr()) {
			continue
		}
		if counts := o.peer.since.Add(pexGreeting); o.peer.reserved.Extended() && !o.ext.greeted && now.Before(counts) {
			if again.IsZero() || counts.Before(again) {
				again = counts // or when its extension handshake arrives, which is a change
			}
			continue
		}
		connected[named] = true
		if c.ext.pex.told[named] || len(m.Added) == peerwire.MaxPEX {
			continue
		}
		flags := peerwire.PEXFlags(0)
		if t.pick.PeerIsSeed(o.id) {
			flags |= peerwire.PEXSeed
		}
		if o.peer.transport == UTP {
			flags |= peerwire.PEXUTP
		}
		if o.ext.handshake.Holepunch != 0 {
			flags |= peerwire.PEXHolepunch
		}
		if !o.peer.incoming && !o.peer.punched {
			flags |= peerwire.PEXReachable
		}
		m.Added, m.Flags = append(m.Added, named), append(m.Flags, flags)
	}
	for a := range c.ext.pex.told {
		if !connected[a] && len(m.Dropped) < peerwire.MaxPEX {
			m.Dropped = append(m.Dropped, a)
		}
	}
	if max(len(m.Added), len(m.Dropped)) < peerwire.MaxPEX { // otherwise the next message names the rest
		c.ext.pex.seen, c.ext.pex.again = t.peerConns.changes, again
	}
	if len(m.Added)+len(m.Dropped) == 0 {
		return
	}
	c.ext.pex.countSent(now)
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
