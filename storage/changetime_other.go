//go:build !linux && !openbsd && !dragonfly && !darwin && !freebsd && !netbsd

package storage

import "io/fs"

// changeTime returns 0, because a FileInfo has no change time on this system.
func changeTime(fs.FileInfo) int64 { return 0 }
