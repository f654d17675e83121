//go:build !linux

package publish

import (
	"errors"
	"os"
)

// clone is not done here: files are linked.
func clone(*os.File, string) error { return errors.ErrUnsupported }
