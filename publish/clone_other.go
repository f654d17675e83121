//go:build !linux

package publish

import (
	"errors"
	"os"
)

// clone returns an error, because this system cannot clone files.
func clone(*os.File, string) error { return errors.ErrUnsupported }
