//go:build !linux

package httpconn

import (
	"errors"
	"net"
)

// listenFast returns an error: only Linux has an implementation.
func (o *Options) listenFast(*net.TCPListener) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}
