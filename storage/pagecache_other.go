//go:build !linux

package storage

import "os"

// dropCache has nothing to drop where the system cannot be asked to.
func dropCache(*os.File) {}

// startWriteback leaves it to the system when it writes, where it cannot be asked.
func startWriteback(*os.File) {}
