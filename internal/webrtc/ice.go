package webrtc

import (
	"bytes"
	"crypto/rand"
	"net/netip"
	"slices"
	"time"

	"spate/internal/fairpool"
)

// Times of the rounds of checks.
const (
	maxRounds  = 10
	firstRound = 50 * time.Millisecond // until the second round; doubled with each round
	lastRound  = 4 * time.Second
)

// Receive handles a packet of the UDP port that is STUN or DTLS. Calls must not overlap. It copies
// what it keeps, and may change b. The caller must call Flush when no more packets wait. After Close
// it drops all packets.
func (e *Endpoint) Receive(b []byte, from netip.AddrPort, local netip.Addr) {
	if isSTUN(b) {
		e.receiveCheck(b, from, local)
		return
	}
	e.mu.Lock()
	l := e.byAddr[from]
	var in chan *packet
	var c *carrier
	if l != nil {
		in, c = l.path.in, l.carrier
	}
	if c != nil && !c.touched {
		c.touched = true
		e.touched = append(e.touched, c)
	}
	e.mu.Unlock()
	switch {
	case c != nil:
		c.receive(b, time.Now())
	case l == nil || !l.path.add(in, b):
		e.count.dropped.Add(1)
	}
}

// Flush sends what the received packets ask for: acknowledgments, and data that the other sides
// have room for now.
func (e *Endpoint) Flush() {
	now := time.Now()
	for {
		e.mu.Lock()
		n := len(e.touched)
		if n == 0 {
			e.mu.Unlock()
			return
		}
		c := e.touched[n-1]
		c.touched = false
		e.touched = e.touched[:n-1]
		e.mu.Unlock()
		c.ch.Flush(now)
	}
}

// receiveCheck handles a STUN message.
func (e *Endpoint) receiveCheck(b []byte, from netip.AddrPort, local netip.Addr) {
	c, ok := parseCheck(b)
	switch {
	case ok && c.kind == bindingRequest:
		ok = e.answerCheck(&c, b, from, local)
	case ok && c.kind == bindingSuccess:
		ok = e.checkAnswered(&c, b, from, local)
	case ok && c.kind == bindingIndication:
		return // a keepalive; only authentic packets count
	}
	if !ok {
		e.count.dropped.Add(1)
	}
}

// answerCheck answers a check of another peer.
func (e *Endpoint) answerCheck(c *check, b []byte, from netip.AddrPort, local netip.Addr) bool {
	ufrag, theirs, ok := bytes.Cut(c.username, []byte(":"))
	if !ok {
		return false
	}
	e.mu.Lock()
	l := e.byUfrag[string(ufrag)]
	if e.closed {
		l = nil
	}
	e.mu.Unlock()
	if l == nil || !c.authentic(b, l.ours.pwd) {
		return false
	}
	e.mu.Lock()
	known := !l.gone && (l.theirs == nil || l.theirs.ufrag == string(theirs)) && e.learnLocked(l, from)
	if known {
		l.lastHeard.Store(time.Now().UnixNano())
		// An open connection stays at its address: a check proves who sent it, but not from where,
		// and all data would go to the address that a peer puts into it.
		if c.useCandidate && !l.isOpen || l.remote.Load() == nil {
			e.chooseLocked(l, target{from, local})
		}
		if l.full && l.theirs != nil && !slices.Contains(l.tried, from) && len(l.tried) < 2*maxCandidates {
			l.tried = append(l.tried, from)
			e.checkLocked(l, from, time.Now()) // a triggered check opens the way through this side's router
		}
	}
	e.mu.Unlock()
	if known {
		e.opt.Send(successFor(c.id, from, l.ours.pwd), from, local)
	}
	return known
}

// learnLocked records that packets from an address belong to a link. It returns false if the link
// has too many addresses, or if the address belongs to another link that is further on: DTLS does
// not say which link a packet is for. A browser has a port for each connection, but two endpoints
// can have one connection only.
func (e *Endpoint) learnLocked(l *link, from netip.AddrPort) bool {
	if other := e.byAddr[from]; other == l {
		return true
	} else if len(l.addrs) >= maxAddrs || other != nil && !other.pending {
		return false
	}
	l.addrs = append(l.addrs, from)
	e.byAddr[from] = l
	return true
}

// chooseLocked sends the packets of a link to an address from now on. The first time it begins
// the DTLS handshake, if the other side's description is known.
func (e *Endpoint) chooseLocked(l *link, to target) {
	if old := l.remote.Load(); old == nil || *old != to {
		l.remote.Store(&to)
	}
	if l.theirs == nil || !l.pending || l.gone || e.closed {
		return
	}
	now := time.Now()
	slot, out := e.handshakes.Enter(now, fairpool.NetworkOf(to.addr.Addr()), l)
	if slot == nil {
		return // the next check tries again
	}
	l.slot = slot
	e.noLongerPendingLocked(l)
	if out != nil {
		out.Value.slot = nil // it has left
		go out.Value.end(errEnd)
	}
	l.deadline = now.Add(OpenTime)
	l.path.in = make(chan *packet, pathQueue)
	e.wg.Go(l.establish)
}

// beginLocked begins to connect when both descriptions are known.
func (e *Endpoint) beginLocked(l *link) {
	if l.gone || e.closed {
		return
	}
	if to := l.remote.Load(); to != nil { // the other side was faster than its answer
		e.chooseLocked(l, *to)
	}
	if !l.full {
		return
	}
	l.tried = append(l.tried, l.theirs.candidates...)
	for _, a := range l.addrs {
		if !slices.Contains(l.tried, a) {
			l.tried = append(l.tried, a)
		}
	}
	e.roundLocked(l)
}

// roundLocked sends a check to each address, and plans the next round.
func (e *Endpoint) roundLocked(l *link) {
	if l.gone || l.isOpen || l.round >= maxRounds {
		return
	}
	now := time.Now()
	for _, a := range l.tried {
		e.checkLocked(l, a, now)
	}
	wait := min(lastRound, firstRound<<l.round)
	l.round++
	l.checks = time.AfterFunc(wait, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !e.closed {
			e.roundLocked(l)
		}
	})
}

// checkLocked sends one check.
func (e *Endpoint) checkLocked(l *link, to netip.AddrPort, now time.Time) {
	chosen := l.remote.Load()
	proved := chosen != nil && chosen.addr == to
	if l.theirs == nil || !proved && l.sent >= maxChecks {
		return
	}
	r := binding{
		username: l.theirs.ufrag + ":" + l.ours.ufrag, password: l.theirs.pwd,
		controlling: l.controlling, tieBreaker: l.tieBreaker,
	}
	rand.Read(r.id[:])
	local := netip.Addr{}
	if proved {
		local = chosen.local
		r.nominate = l.controlling
	}
	if !e.asked.add(now, r.id, l, to, proved) {
		return
	}
	l.sent++
	e.opt.Send(r.packet(), to, local)
}

// checkAnswered handles the answer to a check of this side.
func (e *Endpoint) checkAnswered(c *check, b []byte, from netip.AddrPort, local netip.Addr) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, ok := e.asked.get(c.id, from)
	if !ok || e.closed || !c.authentic(b, q.l.theirs.pwd) {
		return false
	}
	e.asked.remove(c.id)
	l := q.l
	if l.gone || !e.learnLocked(l, from) {
		return false
	}
	l.lastHeard.Store(time.Now().UnixNano())
	if l.remote.Load() == nil || l.controlling && l.pending {
		e.chooseLocked(l, target{from, local})
		if l.controlling {
			e.checkLocked(l, from, time.Now()) // nominates the address
		}
	}
	return true
}
