//go:build !linux

package torrent

import "net"

// unackedOf returns nil: how many bytes the other side has not acknowledged is only
// known on Linux, and on simulated networks.
func unackedOf(nc net.Conn) func() int {
	if s, ok := nc.(interface{ Unacked() int }); ok {
		return s.Unacked
	}
	return nil
}
