package sockqueue

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// LimitUnsent limits the bytes that wait in the send queue of a TCP socket to be sent for
// the first time: once limit bytes wait, a write waits too. The connections that a
// listener accepts inherit the limit of the listener, unless the listener uses Multipath
// TCP, which is the default of package net: see [net.ListenConfig.SetMultipathTCP].
func LimitUnsent(c syscall.Conn, limit int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, limit) })
	if cerr != nil {
		return cerr
	}
	return err
}

// Unacked returns a function that reports how many bytes were written to conn and have
// not been acknowledged by the other side, or nil if that cannot be known. The function
// may be called concurrently and after conn was closed, when it returns 0.
//
// The kernel is asked for the number if conn is a [net.TCPConn]. Another type, such as a
// connection of a simulated network, can have a method Unacked() int.
func Unacked(conn net.Conn) func() int {
	if c, ok := conn.(interface{ Unacked() int }); ok {
		return c.Unacked
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return func() (n int) {
		raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		return n
	}
}
