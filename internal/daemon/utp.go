package daemon

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"spate/internal/udpmux"
	"spate/torrent"
	"spate/utp"
)

// Bounds of the receive window of a uTP connection, in bytes.
const (
	leastWindow = 64 << 10
	mostWindow  = 1 << 20
)

// utpSocket is uTP on the UDP port of the peers. It implements [torrent.UTPSocket].
type utpSocket struct{ *utp.Socket }

// Dial implements [torrent.UTPSocket].
func (s utpSocket) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	c, err := s.Socket.Dial(ctx, to)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// openUTP carries uTP over a UDP port. The caller must run the port. Packets that arrive after
// the socket was closed are dropped.
func (e *Env) openUTP(udp *udpmux.Mux, bind netip.Addr) (torrent.UTPSocket, error) {
	if !bind.IsValid() {
		bind = netip.IPv6Unspecified()
	}
	opt := utp.Options{Addr: netip.AddrPortFrom(bind, udp.Port()), Log: e.Log}
	if held := udp.Stats().ReadBuffer; held > 0 { // the system counts its own memory for each packet too
		opt.ReceiveWindow = min(mostWindow, max(leastWindow, held/2))
	}
	p := &utpPackets{mux: udp, local: map[netip.AddrPort]netip.Addr{}}
	s, err := utp.NewSocket(p, opt)
	if err != nil {
		return nil, err
	}
	udp.Receive(udpmux.UTP, func(batch []udpmux.Packet) { p.receive(s, batch) })
	return utpSocket{s}, nil
}

// maxLocal bounds the peers of a utpPackets whose local address is remembered.
const maxLocal = 10_000

// utpPackets passes packets between a UDP port and a uTP socket.
type utpPackets struct {
	mux       *udpmux.Mux
	receiving atomic.Bool // receive runs; the port sends what is queued when it has returned

	mu sync.Mutex // guards the field below
	// local holds the address of this machine to which each peer sends, so that the answers leave
	// from there. Any other entry makes room for a new one. An entry that is lost comes back with
	// the next packet of its peer.
	local map[netip.AddrPort]netip.Addr
}

// receive passes a batch of packets to the socket.
func (p *utpPackets) receive(s *utp.Socket, batch []udpmux.Packet) {
	p.receiving.Store(true)
	defer p.receiving.Store(false)
	var last udpmux.Packet
	for i := range batch {
		if b := &batch[i]; b.Local.IsValid() && (b.Addr != last.Addr || b.Local != last.Local) {
			p.learn(b.Addr, b.Local)
			last = *b
		}
		s.Handle(batch[i].Data, batch[i].Addr)
	}
}

// learn records the local address to which a peer sends.
func (p *utpPackets) learn(peer netip.AddrPort, local netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, known := p.local[peer]; old == local {
		return
	} else if !known && len(p.local) >= maxLocal {
		for other := range p.local {
			delete(p.local, other)
			break
		}
	}
	p.local[peer] = local
}

// localOf returns the local address for packets to a peer; the zero value lets the system choose.
func (p *utpPackets) localOf(peer netip.AddrPort) netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local[peer]
}

// WriteTo implements [utp.PacketConn]. The answers to a batch of packets are sent together.
func (p *utpPackets) WriteTo(b []byte, to netip.AddrPort) error {
	packet := udpmux.Packet{Addr: to, Local: p.localOf(to), Data: b}
	if !p.receiving.Load() {
		_, err := p.mux.Send([]udpmux.Packet{packet})
		return err
	}
	p.mux.Queue(packet)
	if !p.receiving.Load() { // the port may have sent its queue before
		p.mux.Flush()
	}
	return nil
}

// runs holds the memory of WriteBatch.
var runs = sync.Pool{New: func() any { return new([]udpmux.Packet) }}

// WriteBatch implements [utp.BatchConn].
func (p *utpPackets) WriteBatch(packets [][]byte, to netip.AddrPort) error {
	if len(packets) == 1 {
		return p.WriteTo(packets[0], to)
	}
	run := runs.Get().(*[]udpmux.Packet)
	defer runs.Put(run)
	local := p.localOf(to)
	for _, b := range packets {
		*run = append(*run, udpmux.Packet{Addr: to, Local: local, Data: b})
	}
	_, err := p.mux.Send(*run)
	clear(*run)
	*run = (*run)[:0]
	return err
}
