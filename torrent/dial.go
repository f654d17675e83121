package torrent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
	"spate/utp"
)

// accept accepts connections of one listener until it is closed.
func (s *Session) accept(l net.Listener) {
	backoff := 5 * time.Millisecond
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || s.ctx.Err() != nil {
				return
			}
			// Probably no descriptor is free: wait, and try again.
			s.log.Warn("accepting peers", "err", err)
			select {
			case <-time.After(backoff):
			case <-s.ctx.Done():
				return
			}
			backoff = min(2*backoff, time.Second)
			continue
		}
		backoff = 5 * time.Millisecond
		s.enter(nc)
	}
}

// enter handles an incoming connection in a goroutine of its own.
func (s *Session) enter(nc net.Conn) {
	if s.blocked(sourceOf(nc).Addr()) {
		nc.Close()
		return
	}
	g := s.beginHandshake(sourceOf(nc), nc.Close)
	if !s.spawn(func() { s.handleIncoming(nc, g) }) {
		s.endHandshake(g)
		nc.Close()
	}
}

// handleIncoming reads the handshake of an incoming connection, answers it and gives the
// connection to its torrent, or to the search for the torrent's metadata.
func (s *Session) handleIncoming(nc net.Conn, h *awaitedHandshake) {
	raw := nc
	nc, hs, t, f, err := s.answer(raw)
	s.endHandshake(h)
	if errors.Is(err, errHTTP) {
		s.askedOverHTTP(nc, raw)
		return
	}
	if err != nil {
		raw.Close()
		return
	}
	if t != nil {
		defer s.release(t)
	}
	addr := remoteAddr(nc)
	if over := transportOf(raw); !ofThisMachine(raw) && (over == TCP || !s.punches.awaits(addr, time.Now())) {
		s.cameIn(addr, over)
	}
	if !s.takeSlot(t, sourceOf(raw)) {
		nc.Close()
		return
	}
	switch {
	case t != nil:
		c := newConn(t, nc, hs, addr, true)
		if c.peer.punched {
			t.log.Debug("connected through a hole", "peer", addr)
		}
		c.run()
		return
	case f != nil:
		kept, err := f.fetchOver(s.ctx, nc, hs, addr, true)
		if err != nil {
			s.log.Debug("no metadata", "peer", addr, "err", err)
		}
		if kept {
			return
		}
	}
	nc.Close()
	s.hungUp()
}

// cameIn records the time of an incoming connection if it shows that others on the internet can
// reach the session. A connection over uTP may have come through a hole that packets of this side
// made in a router. So it counts only in a session without TCP, and if that session did not dial
// the address lately.
func (s *Session) cameIn(from netip.AddrPort, over Transport) {
	if s.showsReach(from.Addr(), over) {
		s.lastIncoming.Store(time.Now().Unix())
	}
}

// showsReach reports whether an incoming connection shows that others on the internet can reach the
// session; see cameIn.
func (s *Session) showsReach(from netip.Addr, over Transport) bool {
	return netguard.KindOf(from) == netguard.Public && (over == TCP || s.opt.NoTCP && !s.transports.dialledLately(from))
}

// lookup returns the torrent or metadata search of an info-hash. It loads a dormant
// torrent. The caller must release the torrent with release.
func (s *Session) lookup(ih spate.InfoHash) (*Torrent, *metaFetch, error) {
	s.mu.Lock()
	t, f, d := s.torrents[ih], s.fetches[ih], s.dormant.by[ih]
	if t != nil {
		t.dormancy.users++
	}
	s.mu.Unlock()
	switch {
	case t != nil || f != nil:
		return t, f, nil
	case d != nil:
		t, err := s.wake(d)
		return t, nil, err
	}
	return nil, nil, errNoTorrent
}

var (
	errNoTorrent  = errors.New("no such torrent here")
	errDialedBack = errors.New("the connection is a dial-back that was asked for")
)

// answer reads a handshake, looks up its info-hash and answers it. It returns the connection for
// what follows, which encrypts if raw does. The caller must release the torrent with release.
func (s *Session) answer(raw net.Conn) (nc net.Conn, hs peerwire.Handshake, t *Torrent, f *metaFetch, err error) {
	stop := context.AfterFunc(s.ctx, func() { raw.Close() })
	defer stop()
	raw.SetDeadline(time.Now().Add(handshakeTimeout))
	nc, hs, plain, err := s.readIncoming(raw)
	if err != nil {
		return nc, hs, nil, nil, err
	}
	// A connection by uTP says nothing about the TCP port that the peer was asked to connect to.
	if transportOf(raw) == TCP && s.asks.connected(hs.InfoHash) {
		if !ofThisMachine(raw) {
			s.cameIn(remoteAddr(nc), TCP)
		}
		ours := s.handshake(hs.InfoHash, false)
		nc.Write(ours.Append(nil)) // the peer answers on its own connection
		return nil, hs, nil, nil, errDialedBack
	}
	if plain && s.opt.Encryption == EncryptionRequire && transportOf(raw) != WebRTCChannel { // DTLS encrypts that

		return nil, hs, nil, nil, errEncryption
	}
	if t, f, err = s.lookup(hs.InfoHash); err != nil {
		return nil, hs, nil, nil, err
	}
	var hash2 spate.InfoHash // v2 info-hash of a hybrid
	switch {
	case t != nil && t.ofTwin(hs.InfoHash): // a v1 torrent
	case t != nil:
		hash2 = t.hash2
	case f.hashes.Hybrid():
		hash2 = f.hashes.V2.Truncate()
	}
	hybrid := !hash2.IsZero()
	if hybrid && hs.Reserved.V2() { // the peer supports v2: answer with the v2 info-hash (BEP 52)
		hs.InfoHash = hash2
	}
	ours := s.handshake(hs.InfoHash, hybrid)
	if _, err = nc.Write(ours.Append(nil)); err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil && t != nil {
		s.release(t)
	}
	return nc, hs, t, f, err
}

// handshake returns the handshake for a peer; hybrid sets the bit that announces v2.
func (s *Session) handshake(ih spate.InfoHash, hybrid bool) peerwire.Handshake {
	h := peerwire.Handshake{InfoHash: ih, PeerID: s.opt.PeerID}
	h.Reserved.SetExtended()
	h.Reserved.SetFast()
	if hybrid {
		h.Reserved.SetV2()
	}
	if s.dht.Load() != nil {
		h.Reserved.SetDHT()
	}
	return h
}

// readHandshake reads exactly one handshake and returns an error at the first byte that
// cannot be part of one.
func readHandshake(r io.Reader) (peerwire.Handshake, error) {
	var b [peerwire.HandshakeLen]byte
	for n := 0; n < len(b); {
		m, err := r.Read(b[n:])
		n += m
		if cerr := peerwire.CheckPrefix(b[:n]); cerr != nil {
			return peerwire.Handshake{}, cerr
		}
		if err != nil && n < len(b) {
			return peerwire.Handshake{}, err
		}
	}
	return peerwire.ParseHandshake(b[:])
}

// remoteAddr returns the address of the other side. It is not valid if the connection has no
// IP address.
func remoteAddr(nc net.Conn) netip.AddrPort {
	ap, _ := netip.ParseAddrPort(nc.RemoteAddr().String())
	return spate.CanonicalAddr(ap)
}

// ofThisMachine reports whether both ends of a connection have one address, as those of another
// program on this machine do. It tells nothing about the internet, even if the address is public.
func ofThisMachine(nc net.Conn) bool {
	local, err := netip.ParseAddrPort(nc.LocalAddr().String())
	return err == nil && spate.CanonicalAddr(local).Addr() == remoteAddr(nc).Addr()
}

// dialMore dials as many candidates as the limits allow.
func (t *Torrent) dialMore(now time.Time) {
	for {
		t.mu.Lock()
		addr, list := t.nextCandidateLocked(now)
		t.mu.Unlock()
		if list == nil {
			return
		}
		if !t.s.reserve(true) {
			t.mu.Lock()
			t.peerConns.dialing--
			list.Unused(addr)
			t.mu.Unlock()
			return
		}
		if !t.spawn(func() { t.dial(addr, list) }) {
			t.s.dialed(false)
			return
		}
	}
}

// nextCandidateLocked returns an address to dial and the list that it is from, if the torrent
// wants one more connection. Otherwise the list is nil.
func (t *Torrent) nextCandidateLocked(now time.Time) (netip.AddrPort, *peerlist.List) {
	if !t.runsLocked() || !t.mayDialLocked(now) {
		return netip.AddrPort{}, nil
	}
	lists := t.listsLocked()
	for i := range lists { // the lists take turns
		list := lists[(t.peerConns.turn+i)%len(lists)]
		if next := list.Next(now, 1); len(next) > 0 {
			t.peerConns.turn += i + 1
			t.peerConns.dialing++
			return next[0], list
		}
	}
	return netip.AddrPort{}, nil
}

// fullDials bounds the dials of a torrent without a free connection slot.
const fullDials = 4

// mayDialLocked reports whether the torrent has a connection slot for one more dial. A full torrent
// dials while it has a useless peer, whose slot the dialled peer gets when it joins.
func (t *Torrent) mayDialLocked(now time.Time) bool {
	if t.peerConns.n+t.peerConns.dialing < t.s.opt.MaxConnsPerTorrent {
		return true
	}
	return t.peerConns.dialing < fullDials &&
		slices.ContainsFunc(t.peerConns.byID, func(c *conn) bool { return c != nil && !c.end.gone && c.uselessLocked(now) })
}

// spawn runs f as a goroutine of the torrent. It returns false if the torrent has halted.
func (t *Torrent) spawn(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life.ctx.Err() != nil {
		return false
	}
	t.life.goroutines.Go(f)
	return true
}

// hashFor returns the info-hash for the handshake with a candidate of a list. Peers of a hybrid's
// v2 swarm may know only the v2 info-hash, so the two hashes alternate until the peer answers.
func (t *Torrent) hashFor(addr netip.AddrPort, list *peerlist.List) spate.InfoHash {
	t.mu.Lock()
	defer t.mu.Unlock()
	if list != t.peers {
		return t.twin.Load().hash
	}
	if !t.hash2.IsZero() && t.peers.UnansweredAt(addr)%2 == 1 {
		return t.hash2
	}
	return t.hash
}

// errNoAnswer is the error for a peer that accepts a connection and does not answer the
// handshake. Most likely it does not know the torrent.
var errNoAnswer = errors.New("no handshake")

func (t *Torrent) dial(addr netip.AddrPort, list *peerlist.List) {
	nc, hs, err := t.connect(addr, list, t.dialDirect)
	t.s.dialed(err == nil)
	t.mu.Lock()
	t.peerConns.dialing--
	if err != nil && !t.listedLocked(addr) { // a punch, or the peer, may have been faster
		t.dialFailedLocked(addr, list, err)
	}
	t.mu.Unlock()
	if err != nil {
		t.log.Debug("no connection", "peer", addr, "err", err)
		return
	}
	newConn(t, nc, hs, addr, false).run()
}

// dialFailedLocked records why a peer of a list was not reached, and asks a relay to introduce it.
func (t *Torrent) dialFailedLocked(addr netip.AddrPort, list *peerlist.List, err error) {
	if errors.Is(err, utp.ErrTooMany) { // the fault of this side
		list.Unused(addr)
		return
	}
	unanswered := errors.Is(err, errNoAnswer)
	if unanswered {
		list.Unanswered(addr)
	}
	list.SetFailure(addr, failureOf(err))
	list.Failed(addr, time.Now())
	if !unanswered && !errors.Is(err, errBlocked) {
		t.rendezvousLocked(addr, time.Now())
	}
}

// dialer connects to a peer in one of several ways.
type dialer func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)

// connect dials a candidate of a list in the given way and exchanges handshakes.
func (t *Torrent) connect(addr netip.AddrPort, list *peerlist.List, dial dialer) (net.Conn, peerwire.Handshake, error) {
	hash := t.hashFor(addr, list)
	hybrid := !t.hash2.IsZero() && list == t.peers
	return t.s.connect(t.life.ctx, dial, addr, hash, hybrid, func(ih spate.InfoHash) bool { return hybrid && t.isV2Hash(ih) })
}

// connect dials a peer and exchanges handshakes, with encryption or without it as the session's
// options say. The peer must answer with hash, or with an info-hash for which the function also
// returns true.
func (s *Session) connect(ctx context.Context, dial dialer, addr netip.AddrPort, hash spate.InfoHash, hybrid bool, also func(spate.InfoHash) bool) (nc net.Conn, hs peerwire.Handshake, err error) {
	to := dialTarget{addr, hash}
	attempts := s.encryption.attempts(s.opt.Encryption, to)
	for i, encrypted := range attempts {
		nc, hs, err = s.connectOnce(ctx, dial, addr, hash, hybrid, encrypted, i == len(attempts)-1)
		if err == nil {
			s.encryption.reached(to, encrypted)
		}
		if err == nil && hs.InfoHash != hash && !also(hs.InfoHash) {
			nc.Close()
			err = badPeer("answered for another torrent")
		}
		if err == nil || !closedByPeer(ctx, err) {
			return nc, hs, err
		}
	}
	if len(attempts) > 1 {
		s.encryption.closed(to)
	}
	return nc, hs, err
}

// connectOnce dials a peer and exchanges handshakes. If encrypted is set, it makes the encrypted
// handshake first. If last is not set, a peer that closes the connection may do so because of the
// encryption, and is dialled again over the same transport.
func (s *Session) connectOnce(ctx context.Context, dial dialer, addr netip.AddrPort, hash spate.InfoHash, hybrid, encrypted, last bool) (net.Conn, peerwire.Handshake, error) {
	var hs peerwire.Handshake
	dctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := dial(dctx, addr)
	if err != nil {
		return nil, hs, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	raw.SetDeadline(time.Now().Add(handshakeTimeout))
	ours, nc := s.handshake(hash, hybrid), raw
	if hello := ours.Append(nil); encrypted {
		nc, err = s.encryptDialled(raw, hash, hello)
	} else {
		_, err = nc.Write(hello)
	}
	if err == nil {
		hs, err = readHandshake(nc)
	}
	if err != nil {
		raw.Close()
		err = fmt.Errorf("%w: %w", errNoAnswer, err)
		if ctx.Err() == nil && (last || !closedByPeer(ctx, err)) {
			s.transports.silent(addr, transportOf(raw))
		}
		return nil, hs, err
	}
	s.transports.reached(addr, transportOf(raw))
	if err = nc.SetDeadline(time.Time{}); err != nil {
		raw.Close()
		return nil, hs, err
	}
	return nc, hs, nil
}
