//go:build !unix

package httpconn

import (
	"errors"
	"syscall"
)

// exhausted reports whether err means that file descriptors have run out.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
