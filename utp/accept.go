package utp

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// A SYN leaves no trace: the answer has a sequence number and a time that are keyed hashes, and the
// connection begins to exist with the first packet that returns both. So a million SYNs from forged
// addresses need no memory, and each gets one packet of 20 bytes.
//
// A sender that does not see the answer has to guess. The first packet of a peer acknowledges the
// sequence number (16 bits). It also has the time at which it was sent and the difference of the
// clocks that the peer measured at the answer, and the difference of these two is the time in the
// answer, except for the round-trip time (10 bits, because mostRoundTrip is one part in 1,000 of the
// 2^32 microseconds). The first maxLostFirst+1 packets open the connection (-2 bits). So a guess
// fits with a probability of 2^-24, and guesses bounds the guesses for an address. After many wrong
// ones, only the very first packet counts, within strictRoundTrip (13 bits): 2^-29. What remains: a
// sender that once used the address and port of a peer and saw an answer there can open connections
// in the name of this peer until the secret changes.

// maxLostFirst is the number of packets of a new connection that may be lost or overtaken before
// one arrives and opens the connection.
const maxLostFirst = 3

// The round-trip times that a peer may have. The least one is negative because the clocks of some
// systems advance in steps of 16 ms.
const (
	leastRoundTrip = -50 * time.Millisecond
	mostRoundTrip  = 4 * time.Second
	// strictRoundTrip is the most while many wrong guesses come from the address of the peer.
	strictRoundTrip = 500 * time.Millisecond
)

// The secret of the answers changes each secretLife. The one before remains valid for secretAfter,
// in which the first packet of the peer should arrive.
const (
	secretLife  = 5 * time.Minute
	secretAfter = 30 * time.Second
)

// proof is the part of the answer to a SYN that only its receiver can know.
type proof struct {
	seq   uint16 // what the first sequence number of the answer exceeds that of the SYN by
	clock uint32 // what the times of the connection exceed those of the Socket by, in microseconds
}

// proofFor returns the proof for a connection with an id, during a life of the secret. One block of
// SHA-256 holds its input.
func (s *Socket) proofFor(from netip.AddrPort, id uint16, life uint32) proof {
	var b [32 + 16 + 2 + 2 + 3]byte
	copy(b[:], s.secret[:])
	a := from.Addr().As16()
	copy(b[32:], a[:])
	binary.BigEndian.PutUint16(b[48:], from.Port())
	binary.BigEndian.PutUint16(b[50:], id)
	b[52], b[53], b[54] = byte(life>>16), byte(life>>8), byte(life)
	sum := sha256.Sum256(b[:])
	return proof{binary.BigEndian.Uint16(sum[:]), binary.BigEndian.Uint32(sum[2:])}
}

// shows returns the sequence number of the SYN and reports whether a packet has the proof. ahead is
// the number of packets after the SYN that it has overtaken. most is the longest round-trip time.
func (p proof) shows(h *header, now, most time.Duration) (syn uint16, ahead int, ok bool) {
	syn = h.ack + 1 - p.seq
	ahead = int(h.seq - 1 - syn)
	rtt := time.Duration(int32(timestamp(now, p.clock)-(h.timestamp-h.delay))) * time.Microsecond
	return syn, ahead, ahead < maxReorder && rtt >= leastRoundTrip && rtt <= most
}

// welcomes reports whether a SYN gets an answer.
func (s *Socket) welcomes(h *header, from netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= s.opt.MaxConns || len(s.accept) == cap(s.accept) {
		return false
	}
	key := connKey{from, h.id + 1}
	if g, ok := s.gone.byKey[key]; ok {
		if g.syn == h.seq {
			return false // a duplicate of the SYN of the connection that has ended
		}
		delete(s.gone.byKey, key)
	}
	return true
}

// accepted returns a new connection if the packet is the first after the answer to a SYN. silent is
// set if the packet must not be answered.
func (s *Socket) accepted(h *header, from netip.AddrPort) (c *Conn, silent bool) {
	if h.kind != stData && h.kind != stState {
		return nil, false
	}
	now, key := s.now(), connKey{from, h.id}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[key]; c != nil {
		return c, false // another packet was faster
	}
	if _, gone := s.gone.find(key, now); gone || s.closed {
		return nil, false
	}
	roundTrip, most, some := s.guesses.limits(from.Addr(), now)
	if !some {
		return nil, true
	}
	id, life := h.id-1, uint32(now/secretLife)
	p := s.proofFor(from, id, life)
	syn, ahead, ok := p.shows(h, now, roundTrip)
	if !ok && life > 0 && now%secretLife < secretAfter {
		p = s.proofFor(from, id, life-1)
		syn, ahead, ok = p.shows(h, now, roundTrip)
	}
	switch {
	case !ok:
		s.guesses.wrong(from.Addr(), now)
		return nil, roundTrip < mostRoundTrip // a peer that is too far opens its connection later
	case ahead > most:
		s.guesses.wrong(from.Addr(), now)
		return nil, true // the peer sends the packets before it again
	case len(s.conns) >= s.opt.MaxConns:
		return nil, false
	}
	c = newConn(s, key, newAcceptor(&s.opt, now, id, syn, p, s.opt.largest(from.Addr())))
	c.syn = syn
	select {
	case s.accept <- c:
	default:
		return nil, false
	}
	s.conns[key] = c
	return c, false
}

// answersUnknown writes the answer to a packet of no known connection to b. It returns false if the
// packet gets none.
func (s *Socket) answersUnknown(h *header, from netip.AddrPort, b []byte, now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.resets.take(now) {
		return false
	}
	id := h.id
	if g, ok := s.gone.find(connKey{from, h.id}, now); ok {
		id = g.sendID
		switch {
		case g.unopened: // the peer has accepted a connection that nobody waits for any more
		case h.kind == stState:
			return false
		case h.kind == stFin:
			ts := timestamp(now, 0)
			r := header{kind: stState, id: id, timestamp: ts, delay: ts - h.timestamp, seq: h.ack + 1, ack: h.seq}
			r.put(b)
			return true
		}
	}
	answerReset(b, h, id, now)
	return true
}

// Bounds of what a Socket remembers of connections that have ended.
const (
	maxGone = 4096
	goneFor = time.Minute
)

// goneConn is what remains of a connection that has ended, so that late packets of its peer get
// the right answer and open no new connection.
type goneConn struct {
	sendID uint16
	syn    uint16 // the sequence number of the SYN, if the peer dialled
	// unopened is set if a Dial ended before the peer answered.
	unopened bool
	at       time.Duration
}

// recent is a bounded set of connections that have ended.
type recent struct {
	byKey map[connKey]goneConn
	order []connKey // the order in which they ended; a ring when it is full
	next  int
}

func (r *recent) add(key connKey, g goneConn) {
	if len(r.order) < maxGone {
		r.order = append(r.order, key)
	} else {
		delete(r.byKey, r.order[r.next])
		r.order[r.next] = key
		r.next = (r.next + 1) % maxGone
	}
	r.byKey[key] = g
}

func (r *recent) find(key connKey, now time.Duration) (goneConn, bool) {
	g, ok := r.byKey[key]
	if ok && now-g.at > goneFor {
		delete(r.byKey, key)
		return g, false
	}
	return g, ok
}

// resetRate bounds the answers to packets of unknown connections, in a second.
const resetRate = 500

// budget counts the answers of a second.
type budget struct {
	second time.Duration
	spent  int
}

func (b *budget) take(now time.Duration) bool {
	if s := now.Truncate(time.Second); s != b.second {
		b.second, b.spent = s, 0
	}
	b.spent++
	return b.spent <= resetRate
}
