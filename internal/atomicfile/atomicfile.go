// Package atomicfile writes small files atomically: if the program or the machine stops
// during a write, the file has its old or its new content.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// asideExtension ends the names of entries that SetAside has renamed.
const asideExtension = ".damaged"

// maxAside is the number of entries that SetAside keeps for one path.
const maxAside = 9

// SetAside renames the file or directory at path, which cannot be used, and returns the new path.
// It keeps a few earlier ones, and deletes the last.
func SetAside(path string) (aside string, err error) {
	for n := 1; n <= maxAside; n++ {
		aside = path + asideExtension
		if n > 1 {
			aside += "." + strconv.Itoa(n)
		}
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			return aside, os.Rename(path, aside)
		}
	}
	if err := os.RemoveAll(aside); err != nil {
		return aside, err
	}
	return aside, os.Rename(path, aside)
}

// IsAside reports whether SetAside has renamed the entry at path.
func IsAside(path string) bool { return strings.Contains(filepath.Base(path), asideExtension) }

// SetAsideOther calls SetAside if the entry at path is neither a regular file nor a link to one or
// to a name at which one can be created. It returns the new path, or "" if it renamed nothing.
func SetAsideOther(path string) (aside string, err error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Mode().IsRegular():
		return "", nil
	case err != nil:
		to, linkErr := os.Readlink(path)
		if linkErr != nil {
			return "", nil // it is missing or cannot be examined: opening it returns the error
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		if above, err := os.Stat(filepath.Dir(to)); err == nil && above.IsDir() {
			return "", nil
		}
	}
	return SetAside(path)
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
