package utp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// PacketConn carries the packets of a [Socket].
type PacketConn interface {
	// WriteTo sends a packet. It may drop the packet, must not keep b, must not wait, and must
	// not call the Socket. It should forbid fragmentation (IP_MTU_DISCOVER), and return EMSGSIZE
	// for a packet that is too large.
	WriteTo(b []byte, to netip.AddrPort) error
}

// BatchConn is a [PacketConn] that sends several packets at once, from an address of this machine
// that the Socket chooses. A Socket uses WriteBatch instead of WriteTo if its PacketConn has both.
type BatchConn interface {
	PacketConn
	// WriteBatch sends packets to one address. Most have the same length, so that they can be
	// sent as one message (UDP_SEGMENT). It follows the rules of WriteTo, and does not keep the
	// slice packets. local is the address to which the peer sends its packets, or the zero value
	// if it is not known.
	WriteBatch(packets [][]byte, to netip.AddrPort, local netip.Addr) error
}

// FragmentingConn is a [PacketConn] that can send a packet that is too large for the path. A Socket
// uses WriteFragmented for data that it has to send again in packets of the same size after the
// path has begun to carry less.
type FragmentingConn interface {
	PacketConn
	// WriteFragmented sends a packet and lets IP fragment it. It follows the rules of WriteBatch.
	WriteFragmented(b []byte, to netip.AddrPort, local netip.Addr) error
}

// Packet is a UDP packet that was received.
type Packet struct {
	// Addr is the address of the sender.
	Addr netip.AddrPort
	// Local is the address of this machine to which the packet was sent. Answers come from it. The
	// zero value lets the system choose.
	Local netip.Addr
	// Data is the payload.
	Data []byte
}

// Socket multiplexes uTP connections over one UDP port. It implements [net.Listener]; its methods
// are safe for concurrent use.
type Socket struct {
	pc     PacketConn
	batch  BatchConn       // pc, or nil if it sends no batches
	pieces FragmentingConn // pc, or nil if it cannot fragment
	opt    Options
	start  time.Time
	secret [32]byte
	accept chan *Conn
	done   chan struct{} // closed by Close
	timers timers

	reordered atomic.Int64 // packets ahead of lost ones that the connections keep
	lingering atomic.Int64 // connections that were closed and deliver their last bytes

	mu      sync.RWMutex // guards the fields below
	conns   map[connKey]*Conn
	gone    recent
	guesses guesses
	resets  budget
	closed  bool
}

// connKey identifies a connection: the address of the peer, and the id in its packets.
type connKey struct {
	addr netip.AddrPort
	id   uint16
}

// ErrTooMany is the error of Dial at the bound Options.MaxConns.
var ErrTooMany = errors.New("too many uTP connections")

// NewSocket returns a Socket that sends its packets by pc. The caller passes all received packets
// to Handle or HandleBatch.
func NewSocket(pc PacketConn, opt Options) (*Socket, error) {
	if err := opt.set(); err != nil {
		return nil, err
	}
	s := &Socket{
		pc: pc, opt: opt, start: time.Now(), accept: make(chan *Conn, opt.Backlog), done: make(chan struct{}),
		conns: map[connKey]*Conn{}, gone: recent{byKey: map[connKey]goneConn{}},
		guesses: newGuesses(),
	}
	s.batch, _ = pc.(BatchConn)
	s.pieces, _ = pc.(FragmentingConn)
	s.timers.now, s.timers.armed = s.now, never
	rand.Read(s.secret[:])
	return s, nil
}

// now returns the time since the Socket was made.
func (s *Socket) now() time.Duration { return time.Since(s.start) }

// Addr returns Options.Addr as a *[net.UDPAddr].
func (s *Socket) Addr() net.Addr { return net.UDPAddrFromAddrPort(s.opt.Addr) }

// Accept waits for a connection of a peer and returns it, a *[Conn].
func (s *Socket) Accept() (net.Conn, error) {
	select {
	case c := <-s.accept:
		return c, nil
	case <-s.done:
		return nil, &net.OpError{Op: "accept", Net: "utp", Addr: s.Addr(), Err: net.ErrClosed}
	}
}

// Dial connects to a peer. It gives up after 25 seconds, if ctx does not end before.
func (s *Socket) Dial(ctx context.Context, to netip.AddrPort) (*Conn, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	fail := func(err error) (*Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "utp", Source: s.Addr(), Addr: net.UDPAddrFromAddrPort(to), Err: err}
	}
	c, err := s.newDialed(to)
	if err != nil {
		return fail(err)
	}
	c.mu.Lock()
	c.flush()
	c.mu.Unlock()
	select {
	case <-c.dialed:
	case <-ctx.Done():
		c.Abort()
		return fail(context.Cause(ctx))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m.state == ended {
		return fail(c.m.cause)
	}
	return c, nil
}

// newDialed adds a connection with an id that is free.
func (s *Socket) newDialed(to netip.AddrPort) (*Conn, error) {
	var random [4]byte
	rand.Read(random[:])
	id, seq := binary.BigEndian.Uint16(random[:]), binary.BigEndian.Uint16(random[2:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	if len(s.conns) >= s.opt.MaxConns {
		return nil, ErrTooMany
	}
	for range 1 << 16 {
		key := connKey{to, id}
		if _, gone := s.gone.find(key, s.now()); s.conns[key] == nil && !gone {
			c := newConn(s, key, newDialer(&s.opt, s.now(), id, seq, s.opt.largest(to.Addr())))
			c.dialed = make(chan struct{})
			s.conns[key] = c
			return c, nil
		}
		id++
	}
	return nil, ErrTooMany
}

// Close ends all connections and resets their peers. Accept and Dial then return errors.
func (s *Socket) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.closed = true
	close(s.done)
	conns := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.Abort()
	}
	s.timers.close()
	return nil
}

// forget removes a connection that has ended. The caller holds its lock.
func (s *Socket) forget(c *Conn) {
	if c.m.cause != nil {
		s.opt.Log.Debug("uTP connection ended", "peer", c.key.addr, "cause", c.m.cause)
	}
	if c.lingers {
		s.lingering.Add(-1)
	}
	s.timers.remove(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c.key] == c {
		delete(s.conns, c.key)
		s.gone.add(c.key, goneConn{sendID: c.m.sendID, syn: c.syn, unopened: !c.m.opened, at: s.now()})
	}
}

// Handle takes a packet that was received. It does not keep packet, and ignores packets that are
// not uTP.
func (s *Socket) Handle(packet []byte, from netip.AddrPort) {
	s.HandleBatch([]Packet{{Addr: from, Data: packet}})
}

// HandleBatch takes packets that were received, in the order of their arrival. It answers runs of
// packets of one connection together. It does not keep the packets, and ignores those that are not
// uTP. Packets of one connection must not be passed by concurrent calls.
func (s *Socket) HandleBatch(packets []Packet) {
	var h header
	var run *Conn // the connection of the packets before; its lock is held
	for i := range packets {
		p := &packets[i]
		if !parse(&h, p.Data) {
			continue
		}
		key := connKey{netip.AddrPortFrom(p.Addr.Addr().Unmap(), p.Addr.Port()), h.id}
		if run == nil || run.key != key || h.kind == stReset || h.kind == stSyn {
			if run != nil {
				run.endRun()
			}
			if run = s.find(&h, key); run == nil {
				run = s.unknown(&h, key, p.Local)
			}
			if run == nil {
				continue
			}
			run.mu.Lock()
		}
		run.handle(&h, p.Local)
	}
	if run != nil {
		run.endRun()
	}
}

// find returns the connection that a packet belongs to, or nil. The key has the address and the id
// of the packet.
func (s *Socket) find(h *header, key connKey) *Conn {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch h.kind {
	case stSyn:
		return s.conns[connKey{key.addr, h.id + 1}]
	case stReset:
		// libutp answers an unknown packet with the id of that packet, which is the other id of
		// the connection here.
		for _, id := range [...]uint16{h.id, h.id - 1, h.id + 1} {
			if c := s.conns[connKey{key.addr, id}]; c != nil && (id == h.id || c.m.sendID == h.id) {
				return c
			}
		}
		return nil
	}
	return s.conns[key]
}

// unknown takes a packet that belongs to no connection. It returns the connection that the packet
// opens, or nil.
func (s *Socket) unknown(h *header, key connKey, local netip.Addr) *Conn {
	var reply [headerLen]byte
	now := s.now()
	switch h.kind {
	case stReset:
		return nil
	case stSyn:
		if !s.welcomes(h, key.addr) {
			return nil
		}
		answerSYN(reply[:], h, s.proofFor(key.addr, h.id, uint32(now/secretLife)), s.opt.ReceiveWindow, now)
	default:
		c, silent := s.accepted(h, key.addr)
		if c != nil || silent {
			return c
		}
		if !s.answersUnknown(h, key.addr, reply[:], now) {
			return nil
		}
	}
	s.send(reply[:], key.addr, local)
	return nil
}

// send sends one packet.
func (s *Socket) send(b []byte, to netip.AddrPort, local netip.Addr) error {
	if s.batch == nil {
		return s.pc.WriteTo(b, to)
	}
	return s.batch.WriteBatch([][]byte{b}, to, local)
}
