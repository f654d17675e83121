//go:build !unix

package transport

import "net"

// systemSocket returns nil, because reads from sockets of this system wait for data.
func systemSocket(net.Conn, *Buffers) Socket { return nil }
