// Package udpmux shares the UDP port of the peers among the protocols that use it: the DHT
// (BEP 5), uTP (BEP 29), WebRTC, STUN and the client of UDP trackers (BEP 15). Other clients
// expect the first two and the last at one port, and a router that maps the port opens it for all
// of them.
//
// A [Mux] has a socket for IPv4 and one for IPv6, and one goroutine for each, which reads in a
// loop:
//
//  1. It waits until its socket is readable.
//  2. It reads a batch of packets. On Linux one system call (recvmmsg) reads up to 32 messages,
//     and each can be a run of packets of one sender that the kernel has joined (UDP_GRO).
//  3. [Classify] decides the kind of each packet from its bytes alone.
//  4. Each receiver is called once, with all packets of its kind.
//  5. The packets that the receivers passed to [Mux.Queue] are sent in one batch.
//
// No packet gets a goroutine, a channel or an allocation; replies of trackers, which are rare,
// are the exception. If packets arrive faster than the receivers handle them, the kernel drops
// those that do not fit in the buffer of the socket, and [Mux.Stats] counts them.
package udpmux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"spate/internal/sockerr"
)

// Packet is one UDP packet that was received or is to be sent.
type Packet struct {
	// Addr is the address of the other side. An IPv4 address is never in its IPv6 form.
	Addr netip.AddrPort
	// Local is the address of this machine: the destination of a received packet, or the source
	// of a packet to send. The zero value lets the system choose the source. Packets have it
	// only on Linux, and only if the Mux is bound to all addresses.
	Local netip.Addr
	// Data is the payload.
	Data []byte
}

// Reply returns a packet with data for the sender of p, from the address to which p was sent. A
// client that is behind a NAT or compares addresses accepts no other source.
func (p Packet) Reply(data []byte) Packet { return Packet{Addr: p.Addr, Local: p.Local, Data: data} }

// Mux is a UDP port that several protocols share. Its methods are safe for concurrent use.
type Mux struct {
	port      uint16
	sockets   []*socket // one for each address family that is available
	receivers [kinds]receiver
	trackers  trackerConns
	count     counters
	closing   sync.Once
	closed    chan struct{}
}

// receiver is the receiver of one kind of packets. Its lock is held during a call, so that the
// readers of both sockets never call it at once.
type receiver struct {
	mu sync.Mutex
	f  func([]Packet) // guarded by mu
}

type counters struct{ received, unclaimed, sent, unsent atomic.Uint64 }

// Stats describes the sockets of a Mux and counts its packets.
type Stats struct {
	Received  uint64 // packets that were read
	Unclaimed uint64 // packets that were read and have no receiver
	Sent      uint64 // packets that were sent
	Unsent    uint64 // packets that the system refused to send
	Overflow  uint64 // packets that did not fit in a receive buffer; counted on Linux only

	// ReadBuffer and WriteBuffer are the bytes that the system allows each socket to hold. Linux
	// also counts its own memory for each packet against them. They are 0 if they are not known.
	ReadBuffer, WriteBuffer int
	// Joins reports whether the kernel joins the packets that it receives (UDP_GRO), and Splits
	// whether it splits those that it sends (UDP_SEGMENT).
	Joins, Splits bool
}

// Bounds of [Listen].
const (
	portTries  = 32      // ports that are tried until one is free for both address families
	bufferSize = 4 << 20 // bytes that are requested for each buffer of a socket
)

// Listen opens a UDP port on the address bind, or on all addresses of both families if bind is
// not valid. The port 0 selects one that is free. Listen returns an error if a family is
// available and its port is in use. [Mux.Run] reads the packets; sending works before it.
func Listen(bind netip.Addr, port uint16) (*Mux, error) {
	var err error
	for range portTries {
		var m *Mux
		if m, err = listen(bind.Unmap(), port); err == nil {
			return m, nil
		}
		if port != 0 || !sockerr.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, err
}

func listen(bind netip.Addr, port uint16) (*Mux, error) {
	m := &Mux{port: port, closed: make(chan struct{})}
	m.trackers.byAddr = map[netip.AddrPort][]*trackerConn{}
	m.receivers[tracker].f = m.receiveReplies
	addrs := []netip.Addr{bind}
	if !bind.IsValid() {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	var failed error
	for _, a := range addrs {
		s, err := m.open(netip.AddrPortFrom(a, m.port))
		if err != nil {
			if sockerr.Is(err, syscall.EADDRINUSE) {
				m.Close()
				return nil, err
			}
			failed = err
			continue
		}
		m.sockets = append(m.sockets, s)
		m.port = s.local.Port()
	}
	if len(m.sockets) == 0 {
		return nil, failed
	}
	return m, nil
}

// open opens the socket of one address family.
func (m *Mux) open(at netip.AddrPort) (*socket, error) {
	network := "udp6" // which turns off IPv4 on this socket
	if at.Addr().Is4() {
		network = "udp4"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s := &socket{m: m, conn: conn, local: netip.AddrPortFrom(local.Addr().Unmap(), local.Port())}
	if err := s.setUp(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("UDP socket %v: %w", at, err)
	}
	return s, nil
}

// Port returns the port of both sockets.
func (m *Mux) Port() uint16 { return m.port }

// Receive makes f the receiver of the packets of a kind, in place of the one before. A nil f
// drops these packets. When Receive returns, the receiver before is not running any more. f
// must not call Receive or [Mux.Close].
//
// f is called with the packets of one kind in the order in which they arrived. Calls of f never
// overlap. The batch and its data belong to the Mux again when f returns, and f may change the
// data until then. f delays all protocols of the port, so it must not wait for anything. It may
// call [Mux.Queue] and [Mux.Send].
func (m *Mux) Receive(kind Kind, f func(batch []Packet)) {
	if kind == Unknown || kind >= tracker {
		panic(fmt.Sprintf("udpmux: packets of kind %d have no receiver", kind))
	}
	r := &m.receivers[kind]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f = f
}

// Send sends packets in batches. It returns the number of packets that the system accepted, and
// the error of the first that it did not. The packets belong to the caller again when Send
// returns.
//
// On Linux, Send never waits: if the buffer of the socket is full, it drops the rest of the
// packets. On other systems, it waits until the buffer has room. On Linux, consecutive packets with equal addresses and sizes, of which the last may be
// shorter, are sent as one message that the kernel or the network card splits, at a small part
// of the cost.
func (m *Mux) Send(packets []Packet) (sent int, err error) {
	for i := 0; i < len(packets); {
		n := sameFamily(packets[i:])
		ok, fault := m.sendTo(m.socketFor(packets[i].Addr.Addr()), packets[i:i+n])
		m.count.sent.Add(uint64(ok))
		m.count.unsent.Add(uint64(n - ok))
		sent += ok
		if err == nil {
			err = fault
		}
		i += n
	}
	return sent, err
}

// SendFragmented sends a packet that may be larger than the path carries: IP fragments it. [Mux.Send]
// forbids this. It is slower than Send.
func (m *Mux) SendFragmented(p Packet) error {
	s := m.socketFor(p.Addr.Addr())
	if s == nil {
		return noSocketError{p.Addr.Addr()}
	}
	ok, err := s.sendFragmented(p)
	m.count.sent.Add(uint64(ok))
	m.count.unsent.Add(uint64(1 - ok))
	return err
}

// sendTo sends packets of one family by s, which is nil if the family has no socket.
func (m *Mux) sendTo(s *socket, packets []Packet) (sent int, err error) {
	if s == nil {
		return 0, noSocketError{packets[0].Addr.Addr()}
	}
	return s.send(packets)
}

// sameFamily returns how many of the first packets have addresses of one family.
func sameFamily(packets []Packet) int {
	for i := range packets {
		if packets[i].Addr.Addr().Is4() != packets[0].Addr.Addr().Is4() {
			return i
		}
	}
	return len(packets)
}

// noSocketError is the error for an address whose family has no socket.
type noSocketError struct{ addr netip.Addr }

func (e noSocketError) Error() string { return fmt.Sprintf("no UDP socket to send to %v", e.addr) }
func (e noSocketError) Unwrap() error { return errors.ErrUnsupported }

func (m *Mux) socketFor(a netip.Addr) *socket {
	for _, s := range m.sockets {
		if s.local.Addr().Is4() == a.Is4() {
			return s
		}
	}
	return nil
}

// Run reads packets and calls the receivers until ctx is done or Close is called. It then closes
// the sockets, and returns the cause of ctx or [net.ErrClosed].
func (m *Mux) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, m.Close)
	defer stop()
	var wg sync.WaitGroup
	for _, s := range m.sockets {
		wg.Go(s.read)
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return net.ErrClosed
}

// Close closes the sockets and the connections to trackers. Run then returns, once the receivers
// have returned. On Linux, Close waits for them too.
func (m *Mux) Close() {
	m.closing.Do(func() {
		close(m.closed)
		for _, s := range m.sockets {
			s.conn.Close()
		}
		m.trackers.close()
	})
}

// Stats returns the state of the sockets and the counts since Listen.
func (m *Mux) Stats() Stats {
	st := Stats{
		Received: m.count.received.Load(), Unclaimed: m.count.unclaimed.Load(),
		Sent: m.count.sent.Load(), Unsent: m.count.unsent.Load(),
		Joins: true, Splits: true,
	}
	for i, s := range m.sockets {
		o := s.options()
		st.Overflow += o.overflow
		st.Joins, st.Splits = st.Joins && o.joins, st.Splits && o.splits
		if i == 0 {
			st.ReadBuffer, st.WriteBuffer = o.readBuffer, o.writeBuffer
		}
		st.ReadBuffer, st.WriteBuffer = min(st.ReadBuffer, o.readBuffer), min(st.WriteBuffer, o.writeBuffer)
	}
	return st
}

// options is what a socket contributes to Stats.
type options struct {
	overflow                uint64
	readBuffer, writeBuffer int
	joins, splits           bool
}
