//go:build !linux && !openbsd && !dragonfly && !darwin && !freebsd && !netbsd

package filestat

import "io/fs"

// ChangeTime returns 0, because a FileInfo has no change time on this system.
func ChangeTime(fs.FileInfo) int64 { return 0 }
