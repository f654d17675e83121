// Package notutp answers uTP connection attempts (BEP 29) with a reset, so that peers
// use TCP at once. Many clients try uTP first and wait several seconds for an answer.
// Transmission 3 can wait forever, because it checks the time only when some uTP packet
// arrives.
package notutp

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"time"
)

// The length of the uTP header and the packet types (BEP 29). The type is in the upper
// four bits of the first byte and the version in the lower four.
const (
	headerLen = 20
	reset     = 3<<4 | 1
	syn       = 4<<4 | 1
)

// pause is the time to wait after an error.
const pause = 10 * time.Millisecond

// Responder answers packets on one UDP port. It keeps no state, and an answer is never
// longer than the packet that it answers.
type Responder struct{ conn *net.UDPConn }

// Listen opens the UDP port on bind, or on all addresses if bind is not valid. Use the port
// on which the client accepts TCP connections.
func Listen(bind netip.Addr, port uint16) (*Responder, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind, port)))
	if err != nil {
		return nil, err
	}
	return &Responder{conn}, nil
}

// Run answers packets until ctx is done, then closes the port and returns the cause.
func (r *Responder) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { r.conn.Close() })
	defer stop()
	buf := make([]byte, headerLen)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && n == 0 {
			select {
			case <-time.After(pause): // if the error persists, the loop must not use the whole processor
			case <-ctx.Done():
			}
			continue
		}
		if b, ok := answer(buf[:n], uint32(time.Now().UnixMicro())); ok {
			r.conn.WriteToUDPAddrPort(b[:], from)
		}
	}
}

// answer returns the reset for a packet that opens a connection. now is in
// microseconds. Other packets get no answer.
func answer(packet []byte, now uint32) (b [headerLen]byte, ok bool) {
	if len(packet) < headerLen || packet[0] != syn {
		return b, false
	}
	b[0] = reset
	copy(b[2:4], packet[2:4]) // the connection id that the peer expects
	binary.BigEndian.PutUint32(b[4:], now)
	binary.BigEndian.PutUint32(b[8:], now-binary.BigEndian.Uint32(packet[4:]))
	copy(b[18:], packet[16:18]) // acknowledge the sequence number of the packet
	return b, true
}
