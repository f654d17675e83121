//go:build !linux

package storage

import (
	"errors"
	"os"
)

// dropCache does nothing on this system.
func dropCache(*os.File) {}

const canSyncFS = false

// syncFS is not supported on this system.
func syncFS(*os.File) error { return errors.ErrUnsupported }

// startWriteback does nothing on this system, which decides itself when it writes.
func startWriteback(*os.File) {}
