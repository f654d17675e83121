package doctor

import "golang.org/x/sys/windows"

// diskSpace returns the size of the file system of a directory and the bytes that this user can
// still write, or zeros if they are unknown.
func diskSpace(dir string) (total, free uint64) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0
	}
	if err := windows.GetDiskFreeSpaceEx(path, &free, &total, nil); err != nil {
		return 0, 0
	}
	return total, free
}
