// Package notutp answers uTP connection attempts (BEP 29) with a reset, so that peers
// use TCP at once. Many clients try uTP first and wait several seconds for an answer.
// Transmission 3 can wait forever, because it checks the time only when some uTP packet
// arrives.
package notutp

import (
	"encoding/binary"
	"time"

	"spate/internal/udpmux"
)

// The length of the uTP header and the packet types (BEP 29). The type is in the upper
// four bits of the first byte and the version in the lower four.
const (
	headerLen = 20
	reset     = 3<<4 | 1
	syn       = 4<<4 | 1
)

// Refuse makes m answer the packets that open a uTP connection. It keeps no state, and an
// answer is never longer than the packet that it answers.
func Refuse(m *udpmux.Mux) {
	m.Receive(udpmux.UTP, func(batch []udpmux.Packet) {
		now := uint32(time.Now().UnixMicro())
		for _, p := range batch {
			if b, ok := answer(p.Data, now); ok {
				m.Queue(p.Reply(b[:]))
			}
		}
	})
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
