package folder

import (
	"errors"
	"io/fs"
	"os"
)

// OpenRoot is like [os.OpenRoot], but does not block if path is a pipe.
func OpenRoot(path string) (*os.Root, error) {
	if path == "" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	root, err := os.OpenRoot(path + dirSuffix)
	if cause, ok := bareCause(err); ok {
		err = &fs.PathError{Op: "open", Path: path, Err: cause}
	}
	return root, err
}

// OpenSub is like [os.Root.OpenRoot], but does not block if name is a pipe.
func OpenSub(root *os.Root, name string) (*os.Root, error) {
	return root.OpenRoot(name + dirSuffix)
}

// OpenDir opens the directory name in root for listing. It does not block if name is a pipe.
func OpenDir(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|dirFlags, 0)
}

// openRegular opens a regular file with open and returns a [*TypeError] with path if it is
// no regular file. It calls stat before open, because opening a device can have effects. It
// also checks the open descriptor, because the file may have been replaced between the two.
func openRegular(path string, stat func() (fs.FileInfo, error), open func() (*os.File, error)) (*os.File, error) {
	info, err := stat()
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		return nil, err
	}
	file, err := open()
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err == nil {
		err = regular(path, info)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// regular returns a [*TypeError] if info does not describe a regular file.
func regular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return &TypeError{Path: path, Type: info.Mode().Type()}
}

// Escapes reports whether err means that a link leads out of an [os.Root]. It compares the
// text, because package os does not export that error.
func Escapes(err error) bool {
	if errors.Is(err, ErrOutside) {
		return true
	}
	cause, ok := bareCause(err)
	return ok && cause.Error() == "path escapes from parent"
}

// bareCause returns the cause in an [fs.PathError].
func bareCause(err error) (cause error, ok bool) {
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Err != nil {
		return pe.Err, true
	}
	return nil, false
}
