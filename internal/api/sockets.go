package api

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"sync"
)

// sockets are the sockets of the daemons of a [Client]. The first that accepts a connection is the
// only one from then on, so that all requests go to the same daemon.
type sockets struct {
	mu    sync.Mutex
	paths []string // in the order of preference; only the chosen one after the first connection
}

// dial connects to the first socket that accepts it. Otherwise it returns a [*NoDaemonError] about
// the first socket that this user may not use, or else about the first one.
func (s *sockets) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failed, denied *NoDaemonError
	var d net.Dialer
	for _, path := range s.paths {
		c, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			s.paths = []string{path}
			return c, nil
		}
		if failed == nil {
			failed = &NoDaemonError{path, err}
		}
		if denied == nil && errors.Is(err, fs.ErrPermission) {
			denied = &NoDaemonError{path, err}
		}
	}
	if denied != nil {
		return nil, denied
	}
	return nil, failed
}

// chosen returns the path of the preferred socket.
func (s *sockets) chosen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paths[0]
}
