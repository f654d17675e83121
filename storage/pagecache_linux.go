package storage

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropCache drops the clean pages of a file from the page cache. After a failed
// fsync(2) these include the pages that could not be written.
func dropCache(f *os.File) { unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }

const canSyncFS = true

// syncFS syncs the file system that contains f.
func syncFS(f *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd()))) }

// startWriteback asks the system to write the dirty pages of a file. It waits only if the
// queue of the disk is full. A later fsync(2) reports whether the pages were written.
func startWriteback(f *os.File) {
	unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}
