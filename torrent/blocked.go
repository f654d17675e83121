package torrent

import (
	"errors"
	"net/netip"
)

// errBlocked is the error for a peer whose address [Options].Blocked reports.
var errBlocked = errors.New("the IP filter blocks the address")

// blocked reports whether an address may not be that of a peer. The zero Addr, that of a
// connection without an IP address, may.
func (s *Session) blocked(a netip.Addr) bool {
	return s.opt.Blocked != nil && a.IsValid() && s.opt.Blocked(a)
}

// DropBlocked closes the connections to peers whose address [Options].Blocked reports.
func (s *Session) DropBlocked() {
	if s.opt.Blocked == nil {
		return
	}
	if s.ranges != nil {
		s.ranges.drop(s.opt.Blocked)
	}
	s.mu.Lock()
	torrents, _ := s.allLocked()
	s.mu.Unlock()
	for _, t := range torrents {
		t.mu.Lock()
		for _, c := range t.peerConns.byID {
			if c != nil && s.blocked(c.source().Addr()) {
				c.dropLocked(errBlocked)
			}
		}
		t.mu.Unlock()
	}
}

// source returns the address from which the packets of the peer come. A peer over WebRTC has no
// other address.
func (c *conn) source() netip.AddrPort {
	if c.peer.addr.IsValid() {
		return c.peer.addr
	}
	return c.peer.from
}
