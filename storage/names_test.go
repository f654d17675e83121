package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestBadName checks that a name that the file system cannot store is reported as such, and that
// the other files of the torrent can be written.
func TestBadName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openFiles(t, dir, []File{{Path: "t/a", Length: 10}, {Path: "t/" + strings.Repeat("x", 300), Offset: 10, Length: 10}, {Path: "t/b", Offset: 20, Length: 10}}, DirOptions{})
	for off, want := range map[int64]error{0: nil, 10: ErrName, 20: nil} {
		_, err := d.WriteAt(make([]byte, 10), off)
		if want == nil && err != nil || !errors.Is(err, want) {
			t.Errorf("a write at %d returned %v, want %v", off, err, want)
		}
	}
	if err := d.badName(0, &fs.PathError{Op: "open", Path: "a", Err: syscall.EINVAL}); !errors.Is(err, ErrName) || !errors.Is(err, syscall.EINVAL) {
		t.Errorf("EINVAL of a new file is %v, want ErrName", err)
	}
	if err := d.badName(0, fs.ErrExist); err != fs.ErrExist {
		t.Errorf("another error became %v", err)
	}
}

// TestPartsName checks that the name of the parts file is short enough for each file system.
func TestPartsName(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, longName, longName + 1, 255} {
		name := partsName(strings.Repeat("n", n))
		if len(name) > 143 {
			t.Errorf("the parts file of a name of %d bytes has a name of %d bytes", n, len(name))
		}
		if err := os.WriteFile(filepath.Join(t.TempDir(), name), nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	if partsName("a") != ".a.parts" || partsName(strings.Repeat("n", 254)) == partsName(strings.Repeat("n", 255)) {
		t.Error("two names have the same parts file")
	}
}
