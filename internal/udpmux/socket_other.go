//go:build !linux

package udpmux

import (
	"errors"
	"net"
	"net/netip"
)

// maxMessage is the length of the longest packet.
const maxMessage = 64 << 10

// socket is the UDP socket of one address family. It reads and writes one packet at a time.
type socket struct {
	m     *Mux
	conn  *net.UDPConn
	local netip.AddrPort
	queue queue
}

func (s *socket) setUp() error {
	s.conn.SetReadBuffer(bufferSize) // if these fail, the default sizes are used
	s.conn.SetWriteBuffer(bufferSize)
	return nil
}

func (s *socket) options() options { return options{} }

// read reads packets until the Mux is closed.
func (s *socket) read() {
	in := batch{m: s.m}
	buf := make([]byte, maxMessage)
	for failures := 0; !s.m.isClosed(); {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if err != nil { // some systems return the ICMP error for a packet that was sent earlier
			failures++
			s.m.pause(failures)
			continue
		}
		failures = 0
		in.add(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), netip.Addr{}, buf[:n], 0)
		in.dispatch()
	}
}

// send sends packets of the family of the socket; see [Mux.Send].
func (s *socket) send(packets []Packet) (sent int, err error) {
	for i := range packets {
		if _, werr := s.conn.WriteToUDPAddrPort(packets[i].Data, packets[i].Addr); werr == nil {
			sent++
		} else if err == nil {
			err = cause(werr)
		}
	}
	return sent, err
}

// sendFragmented sends a packet that may be fragmented, as all of this system may.
func (s *socket) sendFragmented(p Packet) (sent int, err error) { return s.send([]Packet{p}) }

// cause returns the error without the addresses that package net adds.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
