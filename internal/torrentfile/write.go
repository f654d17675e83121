package torrentfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/text/unicode/norm"

	"spate/internal/atomicfile"
	"spate/internal/fault"
)

// Write writes b to path completely or not at all, even if the machine crashes. It returns an
// error with the setting "force" if path exists and force is false. It writes directly to a
// device or a pipe.
func Write(path string, b []byte, force bool) error {
	if err := CheckExisting(path, force); err != nil {
		return err
	}
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return os.WriteFile(path, b, 0o666)
	}
	path = replaced(path)
	tmp, err := atomicfile.CreateTemp(filepath.Dir(path))
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

// CheckTarget returns the error that [Write] would return before it writes, or because it
// cannot write to the directory. Callers use it before they hash data.
func CheckTarget(path string, force bool) error {
	if err := CheckExisting(path, force); err != nil {
		return err
	}
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return nil
	}
	return fault.WithSetting(atomicfile.Probe(filepath.Dir(replaced(path))), "output-file")
}

// CheckExisting returns an error if path cannot be the name of a file, or if [Write] may not
// replace what exists there. Unlike [CheckTarget] it does not check that the directory can be
// written to.
func CheckExisting(path string, force bool) error {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if fi, err = os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return nil // otherwise path is a link to a file that does not exist
		}
	}
	switch {
	case errors.Is(err, syscall.ENAMETOOLONG):
		return fault.WithSetting(fault.New(fault.Failed, "", "%s: the name is too long for this file system", path), "output-short")
	case err != nil:
		return err
	case fi.IsDir():
		return fault.New(fault.Exists, "name a file", "%s is a directory", path)
	case fi.Mode()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket|fs.ModeCharDevice) == 0 && !force:
		return existsError(path, fs.ErrExist)
	}
	return nil
}

// replaced returns the path of the file that Write replaces: the target if path is a symbolic
// link.
func replaced(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// CheckTargets returns an error for each target that [Write] would write to the same file as an
// earlier one. The errors are in the order of the paths; nil stands for none.
func CheckTargets(paths []string) []error {
	errs := make([]error, len(paths))
	seen := map[string]string{}
	folds := map[string]bool{} // whether the file system of a directory ignores case
	for i, path := range paths {
		dir, name := filepath.Split(filepath.Clean(path))
		key := dir + norm.NFC.String(strings.ToLower(name))
		other, ok := seen[key]
		if !ok {
			seen[key] = path
			continue
		}
		if _, known := folds[dir]; !known && other != path {
			folds[dir] = atomicfile.FoldsCase(filepath.Clean(dir))
		}
		if other == path || folds[dir] {
			errs[i] = fault.New(fault.Exists, "rename one of them", "%s and %s are the same file", other, path)
		}
	}
	return errs
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
