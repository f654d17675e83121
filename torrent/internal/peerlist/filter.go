package peerlist

import (
	"net/netip"

	"spate"
	"spate/internal/netguard"
)

// Usable reports whether the list takes a as a candidate from src: it has a port and a
// unicast address that means the same everywhere, it is not our own, and a private
// torrent takes candidates from src. Loopback addresses are taken from the user and the
// caller, and from others with AllowLocal; the metadata service of a cloud, which is
// never a peer, from the user alone.
func (l *List) Usable(a netip.AddrPort, src Source) bool {
	a = spate.CanonicalAddr(a)
	if !a.IsValid() || a.Port() == 0 || l.opt.Private && !src.ForPrivate() {
		return false
	}
	switch netguard.KindOf(a.Addr()) {
	case netguard.Nowhere, netguard.Unspecified:
		return false
	case netguard.LinkLocal:
		if a.Addr().Is6() {
			return false // it means nothing without the zone, which is not told
		}
	case netguard.Metadata:
		if src != SourceManual {
			return false
		}
	case netguard.Loopback:
		if !l.opt.AllowLocal && src < SourceCaller {
			return false
		}
	}
	return !l.isSelf(a)
}

func (l *List) isSelf(a netip.AddrPort) bool {
	self := l.opt.Self
	switch {
	case a == self || l.self[a]:
		return true
	case !self.IsValid() || a.Port() != self.Port() && a.Port() != l.advertisedPort():
		return false
	}
	ip := a.Addr()
	return ip == self.Addr() || ip == l.own[0] || ip == l.own[1] || self.Addr().IsUnspecified() && ip.IsLoopback()
}

// advertisedPort returns the port that other peers are told.
func (l *List) advertisedPort() uint16 {
	if l.opt.Advertised != 0 {
		return l.opt.Advertised
	}
	return l.opt.Self.Port()
}

// SetAdvertised changes Options.Advertised.
func (l *List) SetAdvertised(port uint16) {
	l.opt.Advertised = port
	for i := len(l.all) - 1; i >= 0; i-- {
		c := &l.all[i]
		c.prio = l.priority(c.addr)
		if c.state == idle && l.isSelf(c.addr) {
			l.remove(c.addr)
		}
	}
}

// AddSelf says that a turned out to be ourselves, by the peer id: it is never
// tried again.
func (l *List) AddSelf(a netip.AddrPort) {
	a = spate.CanonicalAddr(a)
	if len(l.self) < maxSelf {
		l.self[a] = true
	}
	l.remove(a)
}

// Host is the address that stands for one host: of public IPv6 its /64, which one
// host can use at will.
func Host(a netip.AddrPort) netip.Addr {
	ip := spate.CanonicalAddr(a).Addr()
	if ip.Is6() && ip.IsGlobalUnicast() && !ip.IsPrivate() {
		prefix, _ := ip.Prefix(64)
		return prefix.Addr()
	}
	return ip
}

// banKey is what a ban of a covers: the address with all its ports, for public
// IPv6 its /64, which one host can use at will; on loopback, where many peers
// share one address, the one port.
func banKey(a netip.AddrPort) netip.AddrPort {
	a = spate.CanonicalAddr(a)
	if a.Addr().IsLoopback() {
		return a
	}
	return netip.AddrPortFrom(Host(a), 0)
}

// Ban takes nothing more from the address of a and forgets its candidates; see
// [List.Banned]. The engine drops its connections. The oldest ban makes room
// when there are 10,000.
func (l *List) Ban(a netip.AddrPort) {
	key := banKey(a)
	if _, done := l.banned[key]; done || !a.IsValid() {
		return
	}
	if len(l.banOrder) < maxBans {
		l.banOrder = append(l.banOrder, key)
	} else {
		delete(l.banned, l.banOrder[l.banAt])
		l.banOrder[l.banAt] = key
		l.banAt = (l.banAt + 1) % maxBans
	}
	l.banned[key] = struct{}{}
	for i := len(l.all) - 1; i >= 0; i-- {
		if banKey(l.all[i].addr) == key {
			l.remove(l.all[i].addr)
		}
	}
}

// Banned tells whether a ban covers a: any port of a banned address, and of the
// /64 for public IPv6; on loopback the very port.
func (l *List) Banned(a netip.AddrPort) bool {
	if len(l.banned) == 0 {
		return false
	}
	_, ok := l.banned[banKey(a)]
	return ok
}
