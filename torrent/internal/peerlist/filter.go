package peerlist

import (
	"net/netip"

	"spate"
	"spate/internal/netguard"
)

// Usable reports whether a can be a candidate from src: it has a port and a unicast address
// that means the same on every host, it is not our own address, and, for a private torrent,
// src is allowed. The list accepts loopback addresses from the user, the caller and a tracker on
// this machine, and with AllowLocal from all sources. Only from the user it accepts the address of
// a cloud's metadata service, which is never a peer, and the port of another service (see
// [netguard.ServicePort]).
func (l *List) Usable(a netip.AddrPort, src Source) bool {
	a = spate.CanonicalAddr(a)
	if !a.IsValid() || a.Port() == 0 || l.opt.Private && !src.ForPrivate() || netguard.ServicePort(a.Port()) && src != SourceManual {
		return false
	}
	switch netguard.KindOf(a.Addr()) {
	case netguard.Nowhere, netguard.Unspecified:
		return false
	case netguard.LinkLocal:
		if a.Addr().Is6() && a.Addr().Zone() == "" {
			return false // the address leads to another host on each interface
		}
	case netguard.Metadata:
		if src != SourceManual {
			return false
		}
	case netguard.Loopback:
		if !l.opt.AllowLocal && src < SourceLocalTracker {
			return false
		}
	}
	return !l.isSelf(a)
}

// Self reports whether a is our own address, as far as is known.
func (l *List) Self(a netip.AddrPort) bool { return l.isSelf(spate.CanonicalAddr(a)) }

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

// AddSelf records that a is our own address, as a handshake with our peer id has shown. Next
// never returns it again. It ignores an address that is not valid.
func (l *List) AddSelf(a netip.AddrPort) {
	if !a.IsValid() {
		return
	}
	a = spate.CanonicalAddr(a)
	if len(l.self) < maxSelf {
		l.self[a] = true
	}
	l.remove(a)
}

// Host returns the address that identifies the host of a. For a public IPv6 address it is
// the /64 prefix, because one host can use all addresses with that prefix.
func Host(a netip.AddrPort) netip.Addr {
	ip := spate.CanonicalAddr(a).Addr()
	if ip.Is6() && ip.IsGlobalUnicast() && !ip.IsPrivate() {
		prefix, _ := ip.Prefix(64)
		return prefix.Addr()
	}
	return ip
}

// banKey returns the key of a ban of a. The ban covers all ports of the host (see [Host]). On
// loopback, where many peers share one address, it covers only the port of a.
func banKey(a netip.AddrPort) netip.AddrPort {
	a = spate.CanonicalAddr(a)
	if a.Addr().IsLoopback() {
		return a
	}
	return netip.AddrPortFrom(Host(a), 0)
}

// Ban bans the host of a and forgets its candidates; see [List.Banned]. The caller closes the
// connections. The list keeps the last 10,000 bans. It ignores an address that is not valid.
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

// Banned reports whether a is banned: any port of a banned host, but on loopback only the
// port that was banned.
func (l *List) Banned(a netip.AddrPort) bool {
	if len(l.banned) == 0 {
		return false
	}
	_, ok := l.banned[banKey(a)]
	return ok
}
