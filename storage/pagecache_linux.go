package storage

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropCache drops what the system holds of a file in memory and has not to write.
// After a failed fsync(2) that is also what it could not write.
func dropCache(f *os.File) { unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }

const canSyncFS = true

// syncFS makes all of the file system durable that a file is on.
func syncFS(f *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd()))) }

// startWriteback makes the system begin to write what it holds of a file in memory.
// It waits for nothing but a place in the queue of a busy disk, and promises nothing:
// whether the bytes reach the disk, a later fsync(2) tells.
func startWriteback(f *os.File) {
	unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}
