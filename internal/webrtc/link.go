package webrtc

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"spate/internal/fairpool"
)

// maxAddrs bounds the addresses from which a peer may send packets to a link.
const maxAddrs = 8

// link is a connection to another peer, from the description on.
type link struct {
	e       *Endpoint
	opened  func(*Stream)
	ours    description
	offered bool // this side made the offer
	active  bool // this side begins the DTLS handshake
	full    bool // this side sends checks
	// controlling means that this side chooses the address of the other side.
	controlling bool
	tieBreaker  uint64
	path        *path

	remote    atomic.Pointer[target] // where packets go; nil before a check
	lastHeard atomic.Int64           // when an authentic packet came, in Unix nanoseconds

	// Endpoint.mu guards the fields below.
	theirs   *description     // nil before the answer
	addrs    []netip.AddrPort // addresses in Endpoint.byAddr, at most maxAddrs
	tried    []netip.AddrPort // addresses that checks go to, at most 2*maxCandidates
	round    int              // rounds of checks that were sent
	sent     int              // checks that were sent
	checks   *time.Timer      // sends the next round; nil if there is none
	asked    time.Time        // when the last check of an open connection was sent
	deadline time.Time        // when the link is given up unless it is open
	pending  bool             // no handshake was begun
	isOpen   bool
	gone     bool
	slot     *fairpool.Member[*link] // while the handshake goes on
	carrier  *carrier                // after the handshake
	stream   *Stream                 // once it is open
}

// target is the address of the other side, and that of this machine which it reaches.
type target struct {
	addr  netip.AddrPort
	local netip.Addr
}

// newLink returns a link with new credentials and this side's addresses.
func (e *Endpoint) newLink(opened func(*Stream)) *link {
	var random [8 + 6 + 18]byte
	rand.Read(random[:])
	l := &link{e: e, opened: opened, tieBreaker: binary.BigEndian.Uint64(random[:]), pending: true}
	text := base64.RawStdEncoding.EncodeToString // its alphabet is that of ICE (RFC 8839, 5.4)
	l.ours = description{
		ufrag: text(random[8:14]), pwd: text(random[14:]), fingerprint: e.print,
		lite: e.opt.Reachable(), sctpPort: defaultSCTPPort, maxMessage: ourMaxMessage, candidates: e.opt.Addrs(),
	}
	l.path = newPath(l)
	return l
}

// add adds a pending link, which is given up after a time.
func (e *Endpoint) add(l *link, within time.Duration) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return ErrClosed
	}
	l.deadline = time.Now().Add(within)
	e.byUfrag[l.ours.ufrag] = l
	var oldest *link
	if e.pending >= e.opt.MaxPending {
		oldest = e.oldestLocked()
	}
	e.waiting = append(e.waiting, l)
	e.pending++
	if e.sweeper == nil {
		e.sweeper = time.AfterFunc(sweepEvery, e.sweep)
	}
	e.mu.Unlock()
	if oldest != nil {
		oldest.end(errEnd)
	}
	return nil
}

// oldestLocked returns the pending link that waits longest.
func (e *Endpoint) oldestLocked() *link {
	for i, l := range e.waiting {
		if l.pending && !l.gone {
			e.waiting = e.waiting[i:]
			return l
		}
	}
	e.waiting = nil
	return nil
}

// noLongerPendingLocked records that a link is not pending any more.
func (e *Endpoint) noLongerPendingLocked(l *link) {
	if l.pending {
		l.pending = false
		e.pending--
	}
}

// sweep ends links whose time is over, and keeps open ones alive.
func (e *Endpoint) sweep() {
	now := time.Now()
	var over []*link
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	for _, l := range e.byUfrag {
		switch {
		case !l.isOpen && now.After(l.deadline), l.isOpen && now.Sub(time.Unix(0, l.lastHeard.Load())) > silentTime:
			over = append(over, l)
		case l.isOpen && l.full && now.Sub(l.asked) >= consentEvery:
			if to := l.remote.Load(); to != nil {
				e.checkLocked(l, to.addr, now)
			}
			l.asked = now
		}
	}
	e.asked.expire(now)
	e.waiting = slices.DeleteFunc(e.waiting, func(l *link) bool { return l.gone || !l.pending })
	if len(e.byUfrag) > len(over) {
		e.sweeper.Reset(sweepEvery)
	} else {
		e.sweeper = nil
	}
	e.mu.Unlock()
	for _, l := range over {
		l.end(errSilent)
	}
}

// end removes a link from its endpoint and closes what it has. It does not wait for goroutines.
func (l *link) end(why error) {
	e := l.e
	e.mu.Lock()
	if l.gone {
		e.mu.Unlock()
		return
	}
	l.gone = true
	e.noLongerPendingLocked(l)
	delete(e.byUfrag, l.ours.ufrag)
	for _, a := range l.addrs {
		if e.byAddr[a] == l {
			delete(e.byAddr, a)
		}
	}
	if l.checks != nil {
		l.checks.Stop()
	}
	e.leaveHandshakeLocked(l)
	if l.isOpen {
		e.open--
	} else {
		e.count.failed.Add(1)
	}
	s, c := l.stream, l.carrier
	e.mu.Unlock()
	if s == nil {
		e.opt.Log.Debug("no data channel", "err", why)
	}
	if c != nil {
		c.ch.End(why)
	}
	l.path.end()
}

// leaveHandshakeLocked gives the handshake slot back.
func (e *Endpoint) leaveHandshakeLocked(l *link) {
	if l.slot != nil {
		l.slot.Leave(time.Now())
		l.slot = nil
	}
}
