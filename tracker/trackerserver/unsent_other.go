//go:build !linux

package trackerserver

import (
	"errors"
	"net"
	"syscall"
)

// limitUnsent does nothing: elsewhere connections do not inherit such a bound, or
// buffer little.
func limitUnsent(net.Listener) {}

// exhausted reports whether descriptors have run out.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
