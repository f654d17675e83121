package torrent

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"spate"
	"spate/discovery"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
)

// A Session implements discovery.Swarms: package lsd and sources outside this module find
// peers for it.
var _ discovery.Swarms = (*Session)(nil)

// Swarms returns the swarms that the session is in, in no order: of torrents that download
// or seed, of dormant torrents, and of magnet links whose metadata is not known yet. It
// implements [discovery.Swarms].
func (s *Session) Swarms() []discovery.Swarm {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	all := make([]discovery.Swarm, 0, len(s.torrents)+len(s.fetches)+len(s.dormant.by))
	running := make([]*Torrent, 0, len(s.torrents)) // of the first swarms in all
	for ih, t := range s.torrents {
		if t.dormancy.running.Load() && s.dormant.by[ih] == nil {
			all = append(all, discovery.Swarm{InfoHash: ih, Private: t.info.Private, Local: !t.info.Private})
			running = append(running, t)
		}
	}
	for ih, d := range s.dormant.by {
		all = append(all, discovery.Swarm{InfoHash: ih, Private: d.private, Local: !d.private, Seed: true, NeedsPeers: true})
	}
	for ih := range s.fetches {
		all = append(all, discovery.Swarm{InfoHash: ih, Local: true, NeedsPeers: true})
	}
	s.mu.Unlock()
	for i, t := range running {
		t.mu.Lock()
		all[i].Seed, all[i].NeedsPeers = t.seedLocked(), t.needsPeersLocked()
		t.mu.Unlock()
	}
	return all
}

// seedLocked reports whether the torrent seeds and has every piece.
func (t *Torrent) seedLocked() bool { return t.status.state == StateSeeding && t.leftLocked() == 0 }

// needsPeersLocked reports whether no connected peer is of use: the torrent downloads and none has
// data that it lacks, or it seeds and none is connected.
func (t *Torrent) needsPeersLocked() bool {
	if t.peerConns.n == 0 {
		return true
	}
	return t.status.state == StateDownloading && !slices.ContainsFunc(t.peerConns.byID, func(c *conn) bool { return c != nil && c.wire.amInterested })
}

// Found adds the address of a peer that a source such as package lsd has found. It
// implements [discovery.Swarms]: it reports whether the session is in the swarm and accepts
// peers of the swarm from that source. A private torrent accepts only peers from its
// trackers (BEP 27) and from [Torrent.AddPeers].
func (s *Session) Found(infoHash spate.InfoHash, peer discovery.Candidate, source discovery.Source) bool {
	from := listSource(source)
	s.mu.Lock()
	t, f, d := s.torrents[infoHash], s.fetches[infoHash], s.dormant.by[infoHash]
	s.mu.Unlock()
	switch now := time.Now(); {
	case t != nil:
		if !t.dormancy.running.Load() || t.info.Private && !from.ForPrivate() {
			return false
		}
		t.mu.Lock()
		addCandidate(t.listOfLocked(infoHash), peer, from, now)
		t.mu.Unlock()
		t.dialMore(now)
		return true
	case f != nil:
		f.mu.Lock()
		addCandidate(f.peers, peer, from, now)
		f.mu.Unlock()
		f.nudge()
		return true
	}
	if d == nil || d.private && !from.ForPrivate() {
		return false
	}
	if source == discovery.DHT { // peers of the local network connect by themselves
		s.wakeForDHT(d, infoHash, peer, time.Now())
	}
	return true
}

// listSource returns the peer list's value for a source.
func listSource(source discovery.Source) peerlist.Source {
	switch source {
	case discovery.Tracker:
		return peerlist.SourceTracker
	case discovery.DHT:
		return peerlist.SourceDHT
	case discovery.PEX:
		return peerlist.SourcePEX
	case discovery.LSD:
		return peerlist.SourceLSD
	}
	return peerlist.SourceOther
}

// addCandidate adds a candidate to a list. The caller holds the lock of the list.
func addCandidate(l *peerlist.List, peer discovery.Candidate, from peerlist.Source, now time.Time) {
	isNew := l.Add([]netip.AddrPort{peer.Addr}, from) > 0
	if isNew && peer.Seed { // for a known peer a false report could keep this side from dialling it
		l.SetSeed(peer.Addr, true)
	}
	if from == peerlist.SourceLSD {
		l.Heard(peer.Addr, now) // the peer itself sent the message
	}
}

// peerListOptions returns the options of a list of candidates.
func (s *Session) peerListOptions(private bool) peerlist.Options {
	return peerlist.Options{
		AllowLocal: s.opt.Bind.IsLoopback(), Private: private, Seed: s.opt.Seed,
		Self: netip.AddrPortFrom(s.opt.Bind, s.port), Advertised: s.AdvertisedPort(), Blocked: s.opt.Blocked,
	}
}

// AdvertisedPort returns the port that trackers and peers are told, at which peers outside
// the local network can connect. It is that of [Session.PeerPort] unless
// [Options].AdvertisedPort or [Session.SetAdvertisedPort] named another, and 0 if there is
// neither.
func (s *Session) AdvertisedPort() uint16 {
	if port := s.advertised.Load(); port != 0 {
		return uint16(port)
	}
	return s.port
}

// AnnounceAgain announces all swarms to trackers again, as soon as the trackers allow it, because
// the address of this machine on the internet has changed.
func (s *Session) AnnounceAgain() {
	s.mu.Lock()
	_, swarms := s.allLocked()
	s.mu.Unlock()
	s.announcer.Repeat(swarms)
}

// LastIncoming returns when a peer with a public address last connected to this session for a
// torrent that it has, or because [Session.AskDialBack] asked it to, or the zero Time. Connections
// over uTP count only in a session without TCP, and if the session did not dial the address within
// half an hour before, because others come through the hole in a router that this dial made.
func (s *Session) LastIncoming() time.Time {
	if at := s.lastIncoming.Load(); at != 0 {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

// SetAdvertisedPort changes the port that peers are told to connect to, for example because
// a router maps that port to the port of [Session.PeerPort]. 0 selects the port of
// [Session.PeerPort]. Connected peers are told at once, trackers as soon as they allow an
// announce.
func (s *Session) SetAdvertisedPort(port uint16) {
	before := s.AdvertisedPort()
	s.advertised.Store(uint32(port))
	if port = s.AdvertisedPort(); port == before {
		return
	}
	s.mu.Lock()
	torrents, swarms := s.allLocked()
	fetches := slices.Collect(maps.Values(s.fetches))
	s.mu.Unlock()
	for _, f := range fetches {
		f.mu.Lock()
		f.peers.SetAdvertised(port)
		f.mu.Unlock()
	}
	for _, t := range torrents {
		t.mu.Lock()
		for _, l := range t.listsLocked() {
			l.SetAdvertised(port)
		}
		t.tellHandshakeLocked()
		t.mu.Unlock()
	}
	s.announcer.Repeat(swarms)
}

// tellHandshakeLocked sends the extension handshake (BEP 10) again to all peers that support
// it, after one of its values has changed.
func (t *Torrent) tellHandshakeLocked() {
	for _, c := range t.peerConns.byID {
		if c != nil && !c.end.gone && c.peer.reserved.Extended() {
			h := c.extHandshakeLocked()
			c.tx.control = peerwire.AppendExtHandshake(c.tx.control, &h)
			c.kickLocked()
		}
	}
}
