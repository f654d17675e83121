package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"spate/internal/fault"
)

// writeTarget writes b to path so that there is either all of it or nothing new,
// even after a crash. What is there already is refused unless force is given; a
// device or a pipe is written to as it is.
func writeTarget(path string, b []byte, force bool) error {
	if err := checkTarget(path, force); err != nil {
		return err
	}
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return os.WriteFile(path, b, 0o666)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays a link
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
		// A link is refused where a rename would replace what came meanwhile.
		err := os.Link(tmp.Name(), path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return existsError(path, err)
		}
	}
	return os.Rename(tmp.Name(), path)
}

// checkTarget reports whether path can be written, with the exit code of the
// contract where it exists and force is not given.
func checkTarget(path string, force bool) error {
	fi, err := os.Stat(path)
	switch {
	case err == nil && fi.IsDir():
		return fault.New(fault.Exists, "name a file with -o", "%s is a directory", path)
	case err == nil && fi.Mode().IsRegular() && !force:
		return existsError(path, fs.ErrExist)
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		_, err := os.Stat(filepath.Dir(path)) // not after an hour of hashing
		return err
	}
	return err
}

func existsError(path string, err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Exists, "--force overwrites it, -o names another place", "%s exists already", path)
}

// modeFor keeps the mode of a file that is replaced; a new one is readable by
// all that the umask lets, for torrents are made to be handed out.
func modeFor(path string) fs.FileMode {
	if fi, err := os.Stat(path); err == nil {
		return fi.Mode().Perm()
	}
	return 0o666 &^ umask()
}
