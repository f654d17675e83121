// Package sockqueue limits and measures the send queue of a socket: the bytes that a
// program has written and that the other side has not acknowledged. Only Linux can do
// both; on other systems the functions do nothing.
package sockqueue

import "time"

// Path is what the kernel knows about the path of a TCP socket.
type Path struct {
	RTT    time.Duration // smoothed round-trip time
	MinRTT time.Duration // least round-trip time of the last minutes
	Acked  uint64        // bytes that the other side has acknowledged
	Queued int           // bytes that were written and not acknowledged
	Unsent int           // bytes of Queued that were never sent
}
