// Package utp implements uTP, the micro transport protocol (BEP 29), as libutp and libtorrent
// speak it: connections over UDP whose congestion control, LEDBAT (RFC 6817), yields to other
// traffic.
//
// A [Socket] multiplexes connections over one UDP port. It owns no socket of the system: the
// caller passes received packets to [Socket.Handle], and the Socket sends by a [PacketConn]. So
// the port can be shared with the DHT and other protocols. [Socket] is a [net.Listener] and
// [Conn] a [net.Conn].
//
// The files, from the inside out:
//
//   - packet.go encodes and decodes packets; buffer.go holds their bytes.
//   - machine.go is one connection without a socket, a clock or a lock: packets and times go in,
//     packets come out. receive.go orders what arrives, send.go keeps what is not acknowledged,
//     ack.go finds lost packets, ledbat.go and delay.go choose the congestion window, and mtu.go
//     finds the largest packet that passes.
//   - conn.go puts a lock around a machine and lets callers wait; nowait.go reads and writes
//     without a buffer that waits; gather.go lets the reader of a fast peer wait for more bytes;
//     timers.go calls all machines of a Socket by one timer.
//   - socket.go finds the connection of a packet, and accept.go opens those that peers dial.
package utp
