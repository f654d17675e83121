//go:build !unix

package transport

import "net"

// systemSocket returns nil: sockets of this system are read by waiting for them.
func systemSocket(net.Conn, *Buffers) Socket { return nil }
