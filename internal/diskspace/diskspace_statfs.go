//go:build linux || darwin || freebsd

// Package diskspace asks the system for the space on a file system.
package diskspace

import "golang.org/x/sys/unix"

// Of returns the size of the file system of a directory and the bytes that this user can
// still write, or zeros if they are unknown.
func Of(dir string) (total, free uint64) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0
	}
	return uint64(st.Blocks) * uint64(st.Bsize), uint64(max(st.Bavail, 0)) * uint64(st.Bsize)
}
