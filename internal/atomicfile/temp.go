package atomicfile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// tempPattern is the pattern of all names of temporary files. The names have a fixed length, so
// that a temporary file can be created beside a file whose name has the maximum length.
const tempPattern = ".spate-*" + Extension

// CreateTemp creates a temporary file in dir for data that replaces a file in dir. The
// caller renames or removes it. Its name begins with a dot, ends with [Extension], and does
// not depend on the name of the other file. An error names dir, not the temporary file.
func CreateTemp(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return nil, createError(dir, err)
	}
	return f, nil
}

// MkdirTemp is like [CreateTemp] for a directory.
func MkdirTemp(dir string) (string, error) {
	path, err := os.MkdirTemp(dir, tempPattern)
	if err != nil {
		return "", createError(dir, err)
	}
	return path, nil
}

// Probe returns an error if no file can be created in dir, because dir does not exist or is
// not writable. It creates a temporary file and removes it, because permissions alone do
// not tell whether the file system accepts a file.
func Probe(dir string) error {
	f, err := CreateTemp(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// ProbeNew is like [Probe] for a directory that the caller creates with its parents if it does
// not exist. It probes the nearest parent that exists.
func ProbeNew(dir string) error {
	dir = filepath.Clean(dir)
	for {
		above := filepath.Dir(dir)
		if _, err := os.Lstat(dir); above == dir || !errors.Is(err, fs.ErrNotExist) {
			return Probe(dir)
		}
		dir = above
	}
}

// createError returns err with the directory instead of the temporary file.
func createError(dir string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	if _, serr := os.Stat(dir); errors.Is(serr, fs.ErrNotExist) {
		return fmt.Errorf("there is no directory %s%w", dir, quiet{serr})
	}
	if errors.Is(err, fs.ErrNotExist) { // such as /proc
		return fmt.Errorf("cannot write to the directory %s: it takes no files", dir)
	}
	return fmt.Errorf("cannot write to the directory %s: %w", dir, err)
}

// quiet wraps an error without its text.
type quiet struct{ error }

func (q quiet) Error() string { return "" }
func (q quiet) Unwrap() error { return q.error }

// FoldsCase reports whether the file system of dir treats names as equal that differ only in
// case. It returns false if that cannot be found out.
func FoldsCase(dir string) bool {
	f, err := CreateTemp(dir)
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_, err = os.Lstat(filepath.Join(dir, strings.ToUpper(filepath.Base(f.Name()))))
	return err == nil
}

// The limits of the names that [Name] and [HiddenName] return, in bytes. The usual file systems
// allow 255 bytes. File systems that encrypt names allow fewer: eCryptfs 143.
const (
	maxName       = 255
	maxHiddenName = 143
)

// Name returns name with the extension ext, for a file that users look for under that name. A
// name of more than 255 bytes is cut: it is the beginning of name, a dash, the first eight
// digits of the SHA-256 of name, and ext.
func Name(name, ext string) string { return cutName("", name, ext, maxName) }

// IsCut reports whether [Name] may have returned name for a longer name and the extension ext.
func IsCut(name, ext string) bool {
	stem, ok := strings.CutSuffix(name, ext)
	return ok && len(name) > maxName-utf8.UTFMax && len(name) <= maxName && cutEnding.MatchString(stem)
}

// cutEnding matches the dash and the digits at the end of a cut name.
var cutEnding = regexp.MustCompile(`-[0-9a-f]{8}$`)

// HiddenName returns name with a dot before it and the extension ext, for a file of the program
// beside a file called name. It cuts names as [Name] does, but from 143 bytes on, so that the file
// can be created wherever the other one can.
func HiddenName(name, ext string) string { return cutName(".", name, ext, maxHiddenName) }

// cutName returns prefix, name and ext, with name cut if the result has more than limit bytes.
func cutName(prefix, name, ext string, limit int) string {
	if len(prefix)+len(name)+len(ext) <= limit {
		return prefix + name + ext
	}
	sum := sha256.Sum256([]byte(name))
	end := fmt.Sprintf("-%x%s", sum[:4], ext)
	cut := limit - len(prefix) - len(end)
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return prefix + name[:cut] + end
}

// Derived returns the path of a file that belongs to the file at path: it has the extension ext
// and is in the same directory. [Name] shortens its name if that is too long.
func Derived(path, ext string) string {
	dir, name := filepath.Split(path)
	return dir + Name(name, ext)
}
