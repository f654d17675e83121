//go:build unix

package doctor

import "syscall"

// OpenFiles returns the limit of open files of this process, or 0 if it is unknown.
func OpenFiles() uint64 {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 0
	}
	return uint64(lim.Cur)
}
