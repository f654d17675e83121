package torrent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/peerwire"
	"spate/tracker"
)

// Browsers are peers over WebRTC data channels. Two peers exchange descriptions through a
// WebSocket tracker, so no peer dials another: the one that made the offer counts as the one that
// dialled. On the open channel runs the peer protocol, from the handshake on, over the same path
// through the engine as other connections. The address of such a peer is not known to be one at
// which it can be dialled, so it is never handed out. Only the limits of connections use the
// address from which the packets come.

// WebRTC makes and accepts WebRTC data channels. It must be safe for concurrent use. The remote
// addresses of its connections have the network "webrtc". Such a connection may have a method
// From that returns the netip.AddrPort from which its packets come, by which connections are
// limited.
type WebRTC interface {
	// Offer makes an offer and calls opened when the data channel is open.
	Offer(opened func(net.Conn)) (tracker.Offer, error)
	// Answer answers an offer and calls opened when the data channel is open.
	Answer(offer string, opened func(net.Conn)) (answer string, err error)
	// Close ends all connections.
	Close() error
}

// sourceOf returns the address from which the packets of a connection come. It may not be valid.
func sourceOf(nc net.Conn) netip.AddrPort {
	if c, ok := nc.(interface{ From() netip.AddrPort }); ok {
		return spate.CanonicalAddr(c.From())
	}
	return remoteAddr(nc)
}

// maxOffers bounds the offers of one torrent at a time.
const maxOffers = 5

var errNoSlot = errors.New("no connection slot is free")

// swarmSignals makes and answers offers for the swarm of an info-hash. It implements
// [tracker.Signals].
type swarmSignals struct {
	s    *Session
	hash spate.InfoHash
}

// signals returns the offers and answers for a swarm.
func (s *Session) signals(hash spate.InfoHash) tracker.Signals { return swarmSignals{s, hash} }

// Offers implements [tracker.Signals]. A seed makes none, because browsers that download make
// offers, and a waiting offer costs memory.
func (g swarmSignals) Offers(n int) (all []tracker.Offer) {
	s := g.s
	s.mu.Lock()
	t, f := s.torrents[g.hash], s.fetches[g.hash]
	n = min(n, maxOffers, s.opt.MaxConns-s.conns)
	s.mu.Unlock()
	var opened func(net.Conn)
	switch {
	case t != nil:
		n = min(n, t.wantedConns())
		opened = func(nc net.Conn) { t.offerTaken(nc, g.hash) }
	case f != nil:
		opened = func(nc net.Conn) { f.offerTaken(nc) }
	default:
		return nil
	}
	for len(all) < n {
		o, err := s.opt.WebRTC.Offer(opened)
		if err != nil {
			s.log.Debug("no offer", "err", err)
			break
		}
		all = append(all, o)
	}
	return all
}

// Answer implements [tracker.Signals]. It answers only while the session is in the swarm. The peer
// says in its handshake which torrent it wants. A dormant torrent is loaded only then.
func (g swarmSignals) Answer(offer string) (string, error) {
	s := g.s
	s.mu.Lock()
	full := s.closed || s.conns >= s.opt.MaxConns
	known := s.knowsLocked(g.hash)
	s.mu.Unlock()
	switch {
	case full:
		return "", errNoSlot
	case !known:
		return "", errNoTorrent
	}
	return s.opt.WebRTC.Answer(offer, s.enter)
}

// wantedConns returns how many peers a torrent that downloads wants to connect to.
func (t *Torrent) wantedConns() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pick == nil || t.life.ctx.Err() != nil || t.status.state != StateDownloading {
		return 0
	}
	return max(0, t.s.opt.MaxConnsPerTorrent-t.peerConns.n-t.peerConns.dialing)
}

// offerTaken exchanges messages with a peer that has answered an offer of the torrent.
func (t *Torrent) offerTaken(nc net.Conn, hash spate.InfoHash) {
	s := t.s
	if s.blocked(sourceOf(nc).Addr()) {
		nc.Close()
		return
	}
	started := t.spawn(func() {
		hybrid := !t.hash2.IsZero() && !t.ofTwin(hash)
		hs, err := s.greet(t.life.ctx, nc, hash, hybrid, func(ih spate.InfoHash) bool { return hybrid && t.isV2Hash(ih) })
		if err == nil && !s.takeSlot(t, sourceOf(nc)) {
			err = errNoSlot
		}
		if err != nil {
			nc.Close()
			t.log.Debug("no connection to a browser", "err", err)
			return
		}
		newConn(t, nc, hs, netip.AddrPort{}, false).run()
	})
	if !started {
		nc.Close()
	}
}

// offerTaken asks a peer that has answered an offer for the metadata.
func (f *metaFetch) offerTaken(nc net.Conn) {
	s := f.s
	if s.blocked(sourceOf(nc).Addr()) {
		nc.Close()
		return
	}
	started := s.spawn(func() {
		hs, err := s.greet(f.end, nc, f.hash, f.hashes.Hybrid(), f.hashes.Accepts)
		if err == nil && !s.takeSlot(nil, sourceOf(nc)) {
			err = errNoSlot
		}
		if err == nil {
			var kept bool
			kept, err = f.fetchOver(s.ctx, nc, hs, netip.AddrPort{}, false)
			if kept {
				return
			}
			s.hungUp()
		}
		nc.Close()
		if err != nil {
			s.log.Debug("no metadata from a browser", "err", err)
		}
	})
	if !started {
		nc.Close()
	}
}

// greet sends the handshake over a data channel and reads that of the peer. The peer must answer
// with hash, or with an info-hash for which also returns true.
func (s *Session) greet(ctx context.Context, nc net.Conn, hash spate.InfoHash, hybrid bool, also func(spate.InfoHash) bool) (hs peerwire.Handshake, err error) {
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	nc.SetDeadline(time.Now().Add(handshakeTimeout))
	ours := s.handshake(hash, hybrid)
	if _, err = nc.Write(ours.Append(nil)); err != nil {
		return hs, err
	}
	if hs, err = readHandshake(nc); err != nil {
		return hs, err
	}
	if hs.InfoHash != hash && !also(hs.InfoHash) {
		return hs, badPeer("answered for another torrent")
	}
	return hs, nc.SetDeadline(time.Time{})
}

// Bounds of the bans of addresses without a port.
const (
	firstChannelBan = time.Minute // doubled with each further ban of the address
	lastChannelBan  = time.Hour
	// sharedOffences is how often peers of an address that many can share may send bad data before it is
	// banned.
	sharedOffences = 4
	firstSharedBan = 10 * time.Second // doubled with each further ban
	lastSharedBan  = 5 * time.Minute
	// channelBanCounts is how long after its end a ban makes the next one longer.
	channelBanCounts = 24 * time.Hour
	maxChannelBans   = 1024
)

// channels holds what a session remembers about data channels. It is safe for concurrent use.
type channels struct {
	mu   sync.Mutex
	bans map[netip.Prefix]channelBan // guarded by mu
}

// channelBan is a ban of all data channels from an address, because a peer that has no address
// of its own would come back as another peer: with another peer id and, as browsers make one for each
// connection, another certificate.
type channelBan struct {
	until time.Time
	times int
}

// ban records that a peer sent bad data over a data channel from an address, and bans the data channels
// from there for some time, but never loopback. Many peers can share the private address of a gateway, so
// that such an address is banned later and for a shorter time. A ban that ended long ago does not count.
func (c *channels) ban(from netip.Addr, now time.Time) {
	if !from.IsValid() || netguard.KindOf(from) == netguard.Loopback {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := askerOf(from)
	b, known := c.bans[key]
	if now.Sub(b.until) > channelBanCounts {
		b.times = 0
	}
	if !known && len(c.bans) >= maxChannelBans {
		for k, old := range c.bans {
			if now.After(old.until) || len(c.bans) >= maxChannelBans {
				delete(c.bans, k)
			}
		}
	}
	if c.bans == nil {
		c.bans = map[netip.Prefix]channelBan{}
	}
	c.bans[key] = channelBan{now.Add(channelBanTime(from, b.times)), b.times + 1}
}

// channelBanTime returns for how long an address is banned whose peers have sent bad data n times
// before.
func channelBanTime(from netip.Addr, n int) time.Duration {
	if netguard.KindOf(from) == netguard.Public {
		return min(lastChannelBan, firstChannelBan<<min(n, 10))
	}
	if n < sharedOffences {
		return 0
	}
	return min(lastSharedBan, firstSharedBan<<min(n-sharedOffences, 10))
}

// banned reports whether data channels from an address are banned.
func (c *channels) banned(from netip.Addr, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return from.IsValid() && now.Before(c.bans[askerOf(from)].until)
}
