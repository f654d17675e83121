package dht

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"spate/dht/internal/krpc"
)

// conn is a socket and the address families that it is for.
type conn struct {
	net.PacketConn
	v4, v6 bool
}

// connsOf returns the families of sockets.
func connsOf(list []net.PacketConn) (conns []conn, v4, v6 bool, err error) {
	for _, c := range list {
		udp, ok := c.LocalAddr().(*net.UDPAddr)
		if !ok {
			return nil, false, false, fmt.Errorf("dht: %v is not the address of a UDP socket", c.LocalAddr())
		}
		is4 := udp.IP.To4() != nil
		if is4 && v4 || !is4 && v6 {
			return nil, false, false, errors.New("dht: two sockets have the same address family")
		}
		conns = append(conns, conn{PacketConn: c, v4: is4, v6: !is4})
		v4, v6 = v4 || is4, v6 || !is4
	}
	for i := range conns {
		if c := &conns[i]; c.v6 && !v4 && c.LocalAddr().(*net.UDPAddr).IP.IsUnspecified() {
			c.v4, v4 = true, true
		}
	}
	return conns, v4, v6, nil
}

// addrPortConn is a socket that reads and writes without allocation, such as a *net.UDPConn.
type addrPortConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// read handles the packets of a socket until the socket is closed.
func (n *Node) read(ctx context.Context, c conn) {
	// One byte more than the largest packet shows that a packet is too large.
	b := make([]byte, krpc.MaxPacket+1)
	fast, _ := c.PacketConn.(addrPortConn)
	for {
		size, from, err := readFrom(c, fast, b)
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// An ICMP message about an earlier packet is no reason to stop.
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		n.Receive([]Packet{{Addr: from, Data: b[:size]}})
	}
}

func readFrom(c conn, fast addrPortConn, b []byte) (int, netip.AddrPort, error) {
	if fast != nil {
		return fast.ReadFromUDPAddrPort(b)
	}
	size, from, err := c.ReadFrom(b)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	udp, ok := from.(*net.UDPAddr)
	if !ok {
		return 0, netip.AddrPort{}, fmt.Errorf("dht: %v is not a UDP address", from)
	}
	return size, udp.AddrPort(), nil
}

// write sends packets. A packet that cannot be sent counts as lost.
func (n *Node) write(packets []Packet) {
	for _, p := range packets {
		for _, c := range n.conns {
			if is4 := p.Addr.Addr().Is4(); is4 && !c.v4 || !is4 && !c.v6 {
				continue
			}
			var err error
			if fast, ok := c.PacketConn.(addrPortConn); ok {
				_, err = fast.WriteToUDPAddrPort(p.Data, p.Addr)
			} else {
				_, err = c.WriteTo(p.Data, net.UDPAddrFromAddrPort(p.Addr))
			}
			if err != nil {
				n.log.Debug("sending a packet of the DHT", "to", p.Addr, "err", err)
			}
			break
		}
	}
}
