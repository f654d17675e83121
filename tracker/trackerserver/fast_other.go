//go:build !linux

package trackerserver

import (
	"errors"
	"net"
)

// fastListener has no fast path to offer here.
func (s *Server) fastListener(*net.TCPListener) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}
