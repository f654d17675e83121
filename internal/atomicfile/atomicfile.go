// Package atomicfile writes small files of which there is all that is new or all that
// was there before, whenever the program or the machine stops.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Extension is how the names end under which files are written before they get their
// own; one that is left over was not finished.
const Extension = ".new"

// Replace has the file at path, which only its owner may read, consist of b, and
// returns when that lasts.
func Replace(path string, b []byte) error {
	if err := Write(path, b); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Write is Replace, but for the name of the file: that lasts once the directory is
// synced.
func Write(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+Extension)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// SyncDir makes the names in a directory last, where the system can.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	for _, cannot := range []error{errors.ErrUnsupported, syscall.EINVAL, fs.ErrPermission} { // the last is Windows
		if errors.Is(err, cannot) {
			return nil
		}
	}
	return err
}
