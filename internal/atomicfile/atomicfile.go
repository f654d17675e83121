// Package atomicfile writes small files atomically: if the program or the machine stops
// during a write, the file has its old or its new content.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Extension ends the names of temporary files. A temporary file that still exists after a
// crash is incomplete.
const Extension = ".new"

// Replace atomically replaces the content of the file at path with b and syncs the file
// and its directory. Only the owner can read the file.
func Replace(path string, b []byte) error {
	if err := Write(path, b); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Write is like [Replace] but does not sync the directory. After a crash the file may
// have its old content until [SyncDir] has returned.
func Write(path string, b []byte) error {
	f, err := CreateTemp(filepath.Dir(path))
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// SyncDir syncs a directory, so that the names of its files survive a crash. It does
// nothing if the system or the file system cannot sync directories.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return SyncOpenDir(d)
}

// SyncOpenDir is like [SyncDir] for an open directory.
func SyncOpenDir(d *os.File) error { return dirSyncError(d.Sync()) }

// dirSyncError returns the error of syncing a directory, or nil if it only says that
// directories cannot be synced.
func dirSyncError(err error) error {
	for _, unsupported := range []error{errors.ErrUnsupported, syscall.EINVAL, fs.ErrPermission} { // ErrPermission: Windows
		if errors.Is(err, unsupported) {
			return nil
		}
	}
	return err
}
