package maker

import (
	"io/fs"
	"os"
	"syscall"
)

// inodeOf is nothing here: the size and the time of the last write must do.
func inodeOf(os.FileInfo) (dev, ino uint64) { return 0, 0 }

// hiddenByAttribute reports files that are marked hidden or as the system's own.
func hiddenByAttribute(d fs.DirEntry) bool {
	fi, err := d.Info()
	if err != nil {
		return false
	}
	data, ok := fi.Sys().(*syscall.Win32FileAttributeData)
	return ok && data.FileAttributes&(syscall.FILE_ATTRIBUTE_HIDDEN|syscall.FILE_ATTRIBUTE_SYSTEM) != 0
}
