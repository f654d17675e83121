//go:build !linux

package sockqueue

import (
	"net"
	"syscall"
)

// LimitUnsent does nothing on this system, because accepted connections do not inherit
// such a limit.
func LimitUnsent(syscall.Conn, int) error { return nil }

// Unacked returns the method Unacked() int of conn. It returns nil if conn has none,
// because the kernel is asked for the number on Linux only.
func Unacked(conn net.Conn) func() int {
	if c, ok := conn.(interface{ Unacked() int }); ok {
		return c.Unacked
	}
	return nil
}
