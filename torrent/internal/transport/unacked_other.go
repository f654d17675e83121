//go:build unix && !linux

package transport

import "syscall"

// unacked returns -1: only Linux tells how much is not acknowledged.
func unacked(syscall.RawConn) int { return -1 }
