//go:build darwin || freebsd || netbsd

package storage

import (
	"io/fs"
	"syscall"
)

// changeTime returns when the attributes or data of a file last changed, in nanoseconds since
// 1970, or 0 if it is unknown. Programs cannot set this time.
func changeTime(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ctimespec.Nano()
	}
	return 0
}
