//go:build !unix && !windows

package lsd

import (
	"net"
	"net/netip"
)

// sendOn does nothing: the system sends multicast packets from the interface whose
// address the socket is bound to.
func sendOn(*net.UDPConn, *net.Interface, netip.Addr) error { return nil }
