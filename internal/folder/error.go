package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"spate/internal/units"
)

// ErrOutside is the cause of every [*LinkError].
var ErrOutside = errors.New("a symbolic link leads out of the folder")

var errReplaced = errors.New("the file was replaced by another one")

// LinkError reports a symbolic link that leads out of the folder, or a path that leads out
// of the folder through such a link.
type LinkError struct {
	Path   string // path of the link
	Target string // text of the link; "" if unknown
}

// Error implements error.
func (e *LinkError) Error() string {
	switch {
	case e.Target == "":
		return e.Path + ": " + ErrOutside.Error()
	case filepath.IsAbs(e.Target):
		return fmt.Sprintf("%s is a symbolic link to the absolute path %s; only --follow-links follows it", e.Path, e.Target)
	}
	return fmt.Sprintf("%s is a symbolic link to %s, which leads out of the folder; only --follow-links follows it", e.Path, e.Target)
}

// Unwrap returns [ErrOutside].
func (e *LinkError) Unwrap() error { return ErrOutside }

// TypeError reports an entry of the wrong type.
type TypeError struct {
	Path string
	Type fs.FileMode // type bits of the entry
	Dir  bool        // a directory was expected; otherwise a regular file
}

// Error implements error.
func (e *TypeError) Error() string {
	want := "a regular file"
	if e.Dir {
		want = "a directory"
	}
	return fmt.Sprintf("%s is %s, not %s", e.Path, kind(e.Type), want)
}

// kind returns a description of a file type.
func kind(t fs.FileMode) string {
	switch {
	case t.IsRegular():
		return "a file"
	case t.IsDir():
		return "a directory"
	case t&fs.ModeSymlink != 0:
		return "a symbolic link"
	case t&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case t&fs.ModeSocket != 0:
		return "a socket"
	case t&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

// SizeError reports a file that is larger than the limit.
type SizeError struct {
	Path  string
	Limit int64 // bytes
}

// Error implements error.
func (e *SizeError) Error() string {
	switch {
	case e.Limit > 0 && e.Limit%(1<<20) == 0:
		return fmt.Sprintf("%s is larger than %d MiB", e.Path, e.Limit>>20)
	case e.Limit > 0 && e.Limit%1_000_000 == 0:
		return fmt.Sprintf("%s is larger than %d MB", e.Path, e.Limit/1_000_000)
	case e.Limit > 0 && e.Limit%(1<<10) == 0:
		return fmt.Sprintf("%s is larger than %d KiB", e.Path, e.Limit>>10)
	}
	return fmt.Sprintf("%s is larger than %s", e.Path, units.Plural(e.Limit, "byte"))
}
