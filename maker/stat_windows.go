package maker

import (
	"io/fs"
	"syscall"
)

// hiddenByAttribute reports whether a file has the attribute hidden or system.
func hiddenByAttribute(d fs.DirEntry) bool {
	fi, err := d.Info()
	if err != nil {
		return false
	}
	data, ok := fi.Sys().(*syscall.Win32FileAttributeData)
	return ok && data.FileAttributes&(syscall.FILE_ATTRIBUTE_HIDDEN|syscall.FILE_ATTRIBUTE_SYSTEM) != 0
}
