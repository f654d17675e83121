//go:build unix

package lsd

import (
	"net"
	"net/netip"
	"syscall"
)

// sendOn makes the socket send multicast packets on ifi, whose address is from.
func sendOn(c *net.UDPConn, ifi *net.Interface, from netip.Addr) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cause error
	err = raw.Control(func(fd uintptr) {
		if from.Is4() {
			cause = syscall.SetsockoptInet4Addr(int(fd), syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, from.As4())
		} else {
			cause = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_IF, ifi.Index)
		}
	})
	if cause != nil {
		return cause
	}
	return err
}
