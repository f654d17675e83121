// Package notutp answers peers that dial by uTP (BEP 29) that nobody here speaks
// it, so that they take TCP at once. Many clients try uTP first and wait several
// seconds for an answer; Transmission 3 can wait for good, until it is dialled
// itself, because it looks at its clock only once some uTP packet has arrived.
package notutp

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"time"
)

// Of the header (BEP 29): its length, and the types in the high half of the first
// byte, whose low half is the version.
const (
	headerLen = 20
	reset     = 3<<4 | 1
	syn       = 4<<4 | 1
)

// pause is how long nobody is answered after an error.
const pause = 10 * time.Millisecond

// Responder answers on one UDP port. It keeps nothing of anybody, and an answer is
// never longer than what it answers.
type Responder struct{ conn *net.UDPConn }

// Listen takes the UDP port of that number on bind, or on every address where bind
// is not valid: the port at which TCP is spoken.
func Listen(bind netip.Addr, port uint16) (*Responder, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind, port)))
	if err != nil {
		return nil, err
	}
	return &Responder{conn}, nil
}

// Run answers until ctx ends, whose cause it returns, and gives the port back.
func (r *Responder) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { r.conn.Close() })
	defer stop()
	buf := make([]byte, headerLen)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && n == 0 { // of one datagram, or of one that was sent before
			select {
			case <-time.After(pause): // or of the system, for as long as it lasts
			case <-ctx.Done():
			}
			continue
		}
		if b, ok := answer(buf[:n], uint32(time.Now().UnixMicro())); ok {
			r.conn.WriteToUDPAddrPort(b[:], from)
		}
	}
}

// answer is the reset for a packet that opens a connection, at a time in
// microseconds; nothing else has an answer.
func answer(packet []byte, now uint32) (b [headerLen]byte, ok bool) {
	if len(packet) < headerLen || packet[0] != syn {
		return b, false
	}
	b[0] = reset
	copy(b[2:4], packet[2:4]) // the connection's id, as the one who dialled knows it
	binary.BigEndian.PutUint32(b[4:], now)
	binary.BigEndian.PutUint32(b[8:], now-binary.BigEndian.Uint32(packet[4:]))
	copy(b[18:], packet[16:18]) // what is acknowledged is the packet's number
	return b, true
}
