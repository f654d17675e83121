package utp

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// A SYN leaves no trace: the first sequence number of the answer is a keyed hash of the SYN, and
// the connection begins to exist with the first packet that acknowledges this number. So a million
// SYNs from forged addresses need no memory, and each gets one packet of 20 bytes.

// lostFirst is the number of packets of a new connection that may be lost or overtaken before one
// arrives. Each makes it more likely that a forged packet fits: 16 in 65,536.
const lostFirst = 16

// firstSeq returns the first sequence number for the answer to a SYN.
func (s *Socket) firstSeq(from netip.AddrPort, id, seq uint16) uint16 {
	var b [32 + 16 + 6]byte
	copy(b[:], s.secret[:])
	a := from.Addr().As16()
	copy(b[32:], a[:])
	binary.BigEndian.PutUint16(b[48:], from.Port())
	binary.BigEndian.PutUint16(b[50:], id)
	binary.BigEndian.PutUint16(b[52:], seq)
	sum := sha256.Sum256(b[:])
	return binary.BigEndian.Uint16(sum[:])
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

// accepted returns a new connection if the packet is the first after the answer to a SYN.
func (s *Socket) accepted(h *header, from netip.AddrPort) *Conn {
	if h.kind != stData && h.kind != stState {
		return nil
	}
	id := h.id - 1
	var syn uint16
	found := false
	for i := range uint16(lostFirst) {
		if syn = h.seq - 1 - i; s.firstSeq(from, id, syn) == h.ack+1 {
			found = true
			break
		}
	}
	if !found {
		return nil
	}
	key := connKey{from, h.id}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[key]; c != nil {
		return c // another packet was faster
	}
	if _, gone := s.gone.find(key, s.now()); gone || s.closed || len(s.conns) >= s.opt.MaxConns {
		return nil
	}
	c := newConn(s, key, newAcceptor(&s.opt, s.now(), id, syn, h.ack+1, s.opt.largest(from.Addr())))
	c.syn = syn
	select {
	case s.accept <- c:
	default:
		return nil
	}
	s.conns[key] = c
	return c
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
			ts := timestamp(now)
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
