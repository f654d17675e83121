//go:build !linux

package storage

import (
	"errors"
	"os"
)

// dropCache has nothing to drop where the system cannot be asked to.
func dropCache(*os.File) {}

const canSyncFS = false

// syncFS is for systems that can.
func syncFS(*os.File) error { return errors.ErrUnsupported }

// startWriteback leaves it to the system when it writes, where it cannot be asked.
func startWriteback(*os.File) {}
