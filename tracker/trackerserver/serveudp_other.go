//go:build !linux

package trackerserver

import (
	"context"
	"net"
)

// batches is false because this system has no serveBatches of its own.
const batches = false

// serveBatches is like servePackets.
func (s *Server) serveBatches(_ context.Context, conn *net.UDPConn) error {
	return s.servePackets(conn)
}
