//go:build unix

package httpconn

import (
	"errors"

	"golang.org/x/sys/unix"
)

// exhausted reports whether err means that file descriptors, or memory for them, have run
// out.
func exhausted(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}
