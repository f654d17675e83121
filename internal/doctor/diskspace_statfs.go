//go:build linux || darwin || freebsd

package doctor

import "golang.org/x/sys/unix"

// diskSpace returns the size of the file system of a directory and the bytes that this user can
// still write, or zeros if they are unknown.
func diskSpace(dir string) (total, free uint64) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0
	}
	return uint64(st.Blocks) * uint64(st.Bsize), uint64(max(st.Bavail, 0)) * uint64(st.Bsize)
}
