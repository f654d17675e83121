// Package diskspace asks the system for the space on a file system.
package diskspace

import "golang.org/x/sys/windows"

// Of returns the size of the file system of a directory and the bytes that this user can
// still write, or zeros if they are unknown.
func Of(dir string) (total, free uint64) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0
	}
	if err := windows.GetDiskFreeSpaceEx(path, &free, &total, nil); err != nil {
		return 0, 0
	}
	return total, free
}
