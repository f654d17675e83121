//go:build linux || openbsd || dragonfly

package filestat

import (
	"io/fs"
	"syscall"
)

// ChangeTime returns when the attributes or data of a file last changed, in nanoseconds since
// 1970, or 0 if it is unknown. Programs cannot set this time.
func ChangeTime(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return 0
}
