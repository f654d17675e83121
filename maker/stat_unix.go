//go:build unix

package maker

import (
	"io/fs"
	"os"
	"syscall"
)

func inodeOf(fi os.FileInfo) (dev, ino uint64) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), uint64(st.Ino)
	}
	return 0, 0
}

// hiddenByAttribute returns false: on Unix only the name makes a file hidden.
func hiddenByAttribute(fs.DirEntry) bool { return false }
