package daemon

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"spate/internal/sockqueue"
	"spate/internal/udpmux"
	"spate/internal/uplink"
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
	return utpConn{c}, nil
}

// Accept implements [net.Listener].
func (s utpSocket) Accept() (net.Conn, error) {
	c, err := s.Socket.Accept()
	if err != nil {
		return nil, err
	}
	return utpConn{c.(*utp.Conn)}, nil
}

// utpConn is a uTP connection that counts at the uplink.
type utpConn struct{ *utp.Conn }

var _ uplink.PathReporter = utpConn{}

// Path implements [uplink.PathReporter]. The round-trip time has only the queue on the way to the
// peer, because the other one is not a queue of the uplink.
func (c utpConn) Path() sockqueue.Path {
	s := c.Stats()
	return sockqueue.Path{RTT: s.MinRTT + s.Queue, MinRTT: s.MinRTT, Acked: s.Acked, Queued: s.Unacked, Unsent: s.Unsent}
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
	p := &utpPackets{mux: udp}
	s, err := utp.NewSocket(p, opt)
	if err != nil {
		return nil, err
	}
	udp.Receive(udpmux.UTP, func(batch []udpmux.Packet) { p.receive(s, batch) })
	return utpSocket{s}, nil
}

// utpPackets passes packets between a UDP port and a uTP socket.
type utpPackets struct {
	mux       *udpmux.Mux
	receiving atomic.Bool  // receive runs; the port sends what is queued when it has returned
	batch     []utp.Packet // memory of receive, whose calls never overlap
}

var (
	_ utp.BatchConn       = (*utpPackets)(nil)
	_ utp.FragmentingConn = (*utpPackets)(nil)
)

// receive passes a batch of packets to the socket.
func (p *utpPackets) receive(s *utp.Socket, batch []udpmux.Packet) {
	p.receiving.Store(true)
	defer p.receiving.Store(false)
	for i := range batch {
		p.batch = append(p.batch, utp.Packet(batch[i]))
	}
	s.HandleBatch(p.batch)
	clear(p.batch)
	p.batch = p.batch[:0]
}

// WriteTo implements [utp.PacketConn].
func (p *utpPackets) WriteTo(b []byte, to netip.AddrPort) error {
	return p.WriteBatch([][]byte{b}, to, netip.Addr{})
}

// WriteFragmented implements [utp.FragmentingConn].
func (p *utpPackets) WriteFragmented(b []byte, to netip.AddrPort, local netip.Addr) error {
	return p.mux.SendFragmented(udpmux.Packet{Addr: to, Local: local, Data: b})
}

// utpRuns holds the memory of WriteBatch.
var utpRuns = sync.Pool{New: func() any { return new([]udpmux.Packet) }}

// shortPacket is the length in bytes up to which a packet is most likely an ACK.
const shortPacket = 200

// WriteBatch implements [utp.BatchConn]. The ACKs for a batch of packets are sent together.
func (p *utpPackets) WriteBatch(packets [][]byte, to netip.AddrPort, local netip.Addr) error {
	if len(packets) == 1 && len(packets[0]) <= shortPacket && p.receiving.Load() {
		p.mux.Queue(udpmux.Packet{Addr: to, Local: local, Data: packets[0]})
		if !p.receiving.Load() { // the port may have sent its queue before
			p.mux.Flush()
		}
		return nil
	}
	run := utpRuns.Get().(*[]udpmux.Packet)
	defer utpRuns.Put(run)
	for _, b := range packets {
		*run = append(*run, udpmux.Packet{Addr: to, Local: local, Data: b})
	}
	_, err := p.mux.Send(*run)
	clear(*run)
	*run = (*run)[:0]
	return err
}
