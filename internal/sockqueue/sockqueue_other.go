//go:build !linux

package sockqueue

import "syscall"

// LimitUnsent does nothing on this system, because accepted connections do not inherit
// such a limit.
func LimitUnsent(syscall.Conn, int) error { return nil }

// An Unacked counts nothing on this system.
type Unacked struct{}

// NewUnacked returns a counter for a socket.
func NewUnacked(syscall.RawConn) *Unacked { return &Unacked{} }

// Bytes returns -1, because this system does not report the number.
func (*Unacked) Bytes() int { return -1 }

// SetUnsent does nothing on this system.
func SetUnsent(syscall.RawConn, int) error { return nil }

// UnsentLimit returns 0, because this system has no such limit.
func UnsentLimit(syscall.RawConn) int { return 0 }

// SetPace does nothing on this system.
func SetPace(syscall.RawConn, int64) error { return nil }

// ReadPath returns false, because this system does not report the numbers.
func ReadPath(syscall.RawConn) (Path, bool) { return Path{}, false }
