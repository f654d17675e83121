package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"spate/internal/folder"
)

// asideExtension ends the names of entries that SetAside has renamed.
const asideExtension = ".damaged"

// maxAside is the number of entries that SetAside keeps for one path.
const maxAside = 9

// SetAside renames the file or directory at path, which cannot be used, and returns the new path.
// It keeps a few earlier ones, and deletes the last.
func SetAside(path string) (aside string, err error) {
	for n := 1; n <= maxAside; n++ {
		ext := asideExtension
		if n > 1 {
			ext += "." + strconv.Itoa(n)
		}
		aside = Derived(path, ext)
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

// RemoveAside deletes the entries that SetAside has renamed from path.
func RemoveAside(path string) error {
	var errs []error
	for n := 1; n <= maxAside; n++ {
		ext := asideExtension
		if n > 1 {
			ext += "." + strconv.Itoa(n)
		}
		errs = append(errs, os.RemoveAll(Derived(path, ext)))
	}
	return errors.Join(errs...)
}

// SetAsideOther calls SetAside if the entry at path is neither a regular file nor a link to one or
// to a name at which one can be created. It returns the new path, or "" if it renamed nothing.
func SetAsideOther(path string) (aside string, err error) { return setAsideOther(path, 0) }

// SetAsideNonDir is like [SetAsideOther] for the path of a directory.
func SetAsideNonDir(path string) (aside string, err error) { return setAsideOther(path, fs.ModeDir) }

// SetAsideNonSocket is like [SetAsideOther] for the path of a socket.
func SetAsideNonSocket(path string) (aside string, err error) {
	return setAsideOther(path, fs.ModeSocket)
}

// setAsideOther calls SetAside if the entry at path, or the target if it is a link, has another
// type than want.
func setAsideOther(path string, want fs.FileMode) (aside string, err error) {
	info, statErr := os.Stat(path)
	switch {
	case statErr == nil && info.Mode().Type() == want:
		return "", nil
	case statErr != nil:
		to, linkErr := os.Readlink(path)
		if linkErr != nil || errors.Is(statErr, fs.ErrPermission) {
			return "", nil // it is missing or cannot be examined: opening it returns the error
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		if above, err := os.Stat(filepath.Dir(to)); err == nil && above.IsDir() && want == 0 && errors.Is(statErr, fs.ErrNotExist) {
			return "", nil
		}
	}
	return SetAside(path)
}

// DamagedError reports a file of the program's own state that could not be used. The file was
// renamed.
type DamagedError struct {
	Path  string
	Aside string // the new path of the file
	Err   error  // why the file could not be used
}

// Error returns the path, the reason and the new path.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s is damaged (%v): it was moved to %s", e.Path, e.Err, e.Aside)
}

// Unwrap returns the reason.
func (e *DamagedError) Unwrap() error { return e.Err }

// errNoFile is the reason of a [DamagedError] for a directory, a pipe or a dangling link.
var errNoFile = errors.New("it is not a file")

// Load reads the file at path, which belongs to the program, and calls use with its content. It
// never blocks. If the entry at path is not a regular file, if it has more than limit bytes, or if
// use returns an error, Load calls [SetAside] and returns a [*DamagedError]. It returns other
// errors, such as [fs.ErrNotExist], unchanged.
func Load(path string, limit int64, use func(b []byte) error) error {
	if aside, err := SetAsideOther(path); err != nil {
		return err
	} else if aside != "" {
		return &DamagedError{path, aside, errNoFile}
	}
	f, err := folder.OpenNamed(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := folder.ReadOpen(f, path, limit)
	var large *folder.SizeError
	if err != nil && !errors.As(err, &large) {
		return err
	}
	if err == nil {
		err = use(b)
	}
	if err == nil {
		return nil
	}
	mine, _ := f.Stat()
	f.Close() // Windows renames no open file
	if now, statErr := os.Stat(path); statErr != nil || !os.SameFile(mine, now) {
		return Load(path, limit, use) // another process has replaced the damaged file
	}
	aside, moveErr := SetAside(path)
	if moveErr != nil {
		return fmt.Errorf("%s is damaged (%w), and cannot be moved away: %w", path, err, moveErr)
	}
	return &DamagedError{path, aside, err}
}

// CreateAnew creates a file at path that only the owner can use. It removes a file or a link that
// an earlier run has left there, and calls [SetAside] for an entry of another type. It never
// writes through a link.
func CreateAnew(path string) (*os.File, error) {
	if _, err := SetAsideOther(path); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}
