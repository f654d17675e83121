//go:build linux

package main

import (
	"context"
	"net"
	"net/netip"

	"spate/internal/udpmux"
	"spate/utp"
)

// utpPeers makes and accepts connections over uTP. It implements torrent.UTPSocket.
type utpPeers struct {
	*utp.Socket
	mux     *udpmux.Mux
	batch   []utp.Packet    // packets that are received
	packets []udpmux.Packet // guarded by turn
	turn    chan struct{}
}

// newUTPPeers opens a UDP port of the address host and carries uTP over it. The port 0 selects one
// that is free.
func newUTPPeers(host string, port uint16) (*utpPeers, error) {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nil, err
	}
	mux, err := udpmux.Listen(addr, port)
	if err != nil {
		return nil, err
	}
	p := &utpPeers{mux: mux, turn: make(chan struct{}, 1)}
	if p.Socket, err = utp.NewSocket(p, utp.Options{Addr: netip.AddrPortFrom(addr, mux.Port())}); err != nil {
		mux.Close()
		return nil, err
	}
	mux.Receive(udpmux.UTP, func(batch []udpmux.Packet) {
		p.batch = p.batch[:0]
		for _, b := range batch {
			p.batch = append(p.batch, utp.Packet(b))
		}
		p.HandleBatch(p.batch)
	})
	go mux.Run(context.Background())
	return p, nil
}

func (p *utpPeers) close() {
	p.Socket.Close()
	p.mux.Close()
}

// WriteTo implements [utp.PacketConn].
func (p *utpPeers) WriteTo(b []byte, to netip.AddrPort) error {
	return p.WriteBatch([][]byte{b}, to, netip.Addr{})
}

// WriteBatch implements [utp.BatchConn].
func (p *utpPeers) WriteBatch(packets [][]byte, to netip.AddrPort, local netip.Addr) error {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.packets = p.packets[:0]
	for _, b := range packets {
		p.packets = append(p.packets, udpmux.Packet{Addr: to, Local: local, Data: b})
	}
	_, err := p.mux.Send(p.packets)
	return err
}

// dial connects to a peer.
func (p *utpPeers) dial(ctx context.Context, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	return p.Dial(ctx, to)
}

// Dial implements torrent.UTPSocket.
func (p *utpPeers) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	c, err := p.Socket.Dial(ctx, to)
	if err != nil {
		return nil, err
	}
	return c, nil
}
