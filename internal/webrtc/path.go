package webrtc

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"spate/internal/webrtc/record"
)

// Bounds of the packets that wait for DTLS.
const (
	maxPacket = 2048 // bytes of one packet
	pathQueue = 256  // packets of one connection
	maxEarly  = 32   // packets with data that came before the end of the handshake
)

// packet is a received packet. Endpoint.free keeps them for reuse.
type packet struct {
	n    int
	data [maxPacket]byte
}

// path carries the DTLS packets of a link. It implements [net.PacketConn] for the handshake of
// package dtls, from which it keeps back the packets with data: the other side may send them as
// soon as its part of the handshake is done.
type path struct {
	l      *link
	in     chan *packet  // nil before the handshake, so that an offer that waits is small; Endpoint.mu guards the change
	done   chan struct{} // closed when the link ends
	once   sync.Once
	reads  deadline
	writes deadline

	mu     sync.Mutex // guards the fields below
	taken  bool       // the handshake is over, and package dtls gets and sends no more packets
	early  []*packet  // packets with data that came before
	flight []byte     // the last packet of the handshake that this side sent
}

func newPath(l *link) *path {
	return &path{l: l, done: make(chan struct{})}
}

// keep keeps a packet back from the handshake if it is one with data, or if the handshake is over.
func (p *path) keep(q *packet) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.taken && q.data[0] != record.TypeData {
		return false
	}
	if len(p.early) == maxEarly {
		p.l.e.free.Put(q)
	} else {
		p.early = append(p.early, q)
	}
	return true
}

// take ends the part of package dtls: it sends no more packets. take returns the packets that were
// kept back, and the last packet of the handshake that this side sent.
func (p *path) take() (early []*packet, flight []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = true
	early, p.early = p.early, nil
	return early, p.flight
}

// add adds a copy of a packet to in, the queue of the path. It returns false if there is no room.
func (p *path) add(in chan *packet, b []byte) bool {
	if in == nil || len(b) > maxPacket {
		return false
	}
	q := p.l.e.free.Get().(*packet)
	q.n = copy(q.data[:], b)
	select {
	case in <- q:
		return true
	default:
		p.l.e.free.Put(q)
		return false
	}
}

// end makes all reads and writes fail.
func (p *path) end() { p.once.Do(func() { close(p.done) }) }

// ReadFrom implements [net.PacketConn].
func (p *path) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		select {
		case q := <-p.in:
			if p.keep(q) {
				continue
			}
			n := copy(b, q.data[:q.n])
			p.l.e.free.Put(q)
			return n, Addr{}, nil
		case <-p.done:
			return 0, nil, net.ErrClosed
		case <-p.reads.over():
			return 0, nil, os.ErrDeadlineExceeded
		}
	}
}

// WriteTo implements [net.PacketConn]. It sends to the address that the checks found.
func (p *path) WriteTo(b []byte, _ net.Addr) (int, error) {
	select {
	case <-p.done:
		return 0, net.ErrClosed
	case <-p.writes.over():
		return 0, os.ErrDeadlineExceeded
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.taken {
		p.flight = append(p.flight[:0], b...)
		p.send(b)
	}
	return len(b), nil
}

// send sends a packet. What is not sent is lost, and DTLS or SCTP send it again.
func (p *path) send(b []byte) {
	if to := p.l.remote.Load(); to != nil {
		p.l.e.opt.Send(b, to.addr, to.local)
	}
}

// Close implements [net.PacketConn].
func (p *path) Close() error {
	p.mu.Lock()
	taken := p.taken
	p.mu.Unlock()
	if !taken {
		p.l.end(net.ErrClosed)
	}
	return nil
}

// LocalAddr implements [net.PacketConn].
func (p *path) LocalAddr() net.Addr { return Addr{} }

// SetDeadline implements [net.PacketConn].
func (p *path) SetDeadline(t time.Time) error {
	p.reads.set(t)
	p.writes.set(t)
	return nil
}

// SetReadDeadline implements [net.PacketConn].
func (p *path) SetReadDeadline(t time.Time) error { p.reads.set(t); return nil }

// SetWriteDeadline implements [net.PacketConn].
func (p *path) SetWriteDeadline(t time.Time) error { p.writes.set(t); return nil }

// Addr is the address of both ends of a [Stream]: other peers cannot dial them.
type Addr struct{}

// Network returns "webrtc".
func (Addr) Network() string { return "webrtc" }

// String returns "webrtc".
func (Addr) String() string { return "webrtc" }

// remoteAddr returns the address from which the packets of a link come.
func (l *link) remoteAddr() netip.AddrPort {
	if to := l.remote.Load(); to != nil {
		return to.addr
	}
	return netip.AddrPort{}
}

// deadline is a time after which reads or writes fail. The zero value is none. It is safe for
// concurrent use.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	ch    chan struct{} // closed when the time is over; nil until it is needed
	gen   int           // counts the calls of set
}

// over returns a channel that is closed when the time is over. A later call of set may return to
// another channel; readers that wait see a time that is over only.
func (d *deadline) over() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ch == nil {
		d.ch = make(chan struct{})
	}
	return d.ch
}

// set changes the time.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gen++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.ch != nil {
		select {
		case <-d.ch:
			d.ch = nil
		default:
		}
	}
	if t.IsZero() {
		return
	}
	if d.ch == nil {
		d.ch = make(chan struct{})
	}
	gen, wait := d.gen, time.Until(t)
	if wait <= 0 {
		close(d.ch)
		return
	}
	d.timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.gen == gen {
			close(d.ch)
		}
	})
}
