package trackerserver

import (
	"context"
	"net"
)

// batches says that serveBatches serves sockets better than servePackets.
const batches = false

func (s *Server) serveBatches(_ context.Context, conn *net.UDPConn) error {
	return s.servePackets(conn)
}
