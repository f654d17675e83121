package torrentfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"spate/internal/fault"
)

// Write writes b to path completely or not at all, even if the machine crashes. It returns an
// error with the setting "force" if path exists and force is false. It writes directly to a
// device or a pipe.
func Write(path string, b []byte, force bool) error {
	if err := CheckTarget(path, force); err != nil {
		return err
	}
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return os.WriteFile(path, b, 0o666)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // replace the target of a symbolic link, not the link
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Chmod(modeFor(path))
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if !force {
		// Unlike a rename, a hard link does not replace a file that another process has
		// created meanwhile.
		err := os.Link(tmp.Name(), path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return existsError(path, err)
		}
	}
	return os.Rename(tmp.Name(), path)
}

// CheckTarget returns the error that [Write] would return before it writes.
func CheckTarget(path string, force bool) error {
	fi, err := os.Stat(path)
	switch {
	case err == nil && fi.IsDir():
		return fault.New(fault.Exists, "name a file", "%s is a directory", path)
	case err == nil && fi.Mode().IsRegular() && !force:
		return existsError(path, fs.ErrExist)
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		_, err := os.Stat(filepath.Dir(path)) // report a missing directory before the data is hashed
		return err
	}
	return err
}

// existsError returns nil if err is nil.
func existsError(path string, err error) error {
	if err == nil {
		return nil
	}
	return fault.WithSetting(fault.New(fault.Exists, "", "%s exists already", path), "force")
}

// modeFor returns the mode of the file at path. A new file is readable for everybody that the
// umask allows, because torrents are meant to be shared.
func modeFor(path string) fs.FileMode {
	if fi, err := os.Stat(path); err == nil {
		return fi.Mode().Perm()
	}
	return 0o666 &^ umask()
}
