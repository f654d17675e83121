package folder

import (
	"errors"
	"io/fs"
	"os"
)

// OpenRoot is [os.OpenRoot] without the wait where a pipe lies at path.
func OpenRoot(path string) (*os.Root, error) {
	if path == "" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	root, err := os.OpenRoot(path + itself)
	if cause, ok := bareCause(err); ok {
		err = &fs.PathError{Op: "open", Path: path, Err: cause}
	}
	return root, err
}

// OpenSub is [os.Root.OpenRoot] without the wait where a pipe lies at name.
func OpenSub(root *os.Root, name string) (*os.Root, error) {
	return root.OpenRoot(name + itself)
}

// OpenDir opens the directory name in root for reading, without the wait where a
// pipe lies there.
func OpenDir(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|dirFlags, 0)
}

// openRegular opens the regular file that is called path in errors. It looks
// before it opens, because opening a device can have effects, and once more at
// the open descriptor, because something else may lie there by then.
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

func regular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return &TypeError{Path: path, Type: info.Mode().Type()}
}

// Escapes reports whether err says that a link leads out of an [os.Root]. Package
// os has no name for that error, which is the only one of its own making that a
// clean, local path can meet.
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
