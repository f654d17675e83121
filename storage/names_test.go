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

// TestFormerParts checks that a download finds the parts file that an earlier release has begun,
// also after it was moved, and that a new file has a name that fits all file systems.
func TestFormerParts(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 129, 130, 131, 136, 137, 143, 144, 255} {
		top := strings.Repeat("n", n)
		dir, to := t.TempDir(), t.TempDir()
		open := func(dir string) *Dir {
			t.Helper()
			l, err := NewLayout([]File{{Path: top + "/a", Length: 10}, {Path: top + "/b", Length: 10, Offset: 10}})
			if err != nil {
				t.Fatal(err)
			}
			d, err := OpenLayout(dir, l, NewPool(minPool), DirOptions{Skip: []bool{false, true}})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		former := filepath.Join(dir, formerPartsName(top))
		if err := os.WriteFile(former, []byte("..........0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		d := open(dir)
		p := make([]byte, 10)
		if _, err := d.ReadAt(p, 10); err != nil || string(p) != "0123456789" {
			t.Errorf("a name of %d bytes: the former parts file has %q, %v", n, p, err)
		}
		if err := errors.Join(d.Prepare(), d.MoveTo(t.Context(), to, "")); err != nil {
			t.Fatal(err)
		}
		if _, err := d.ReadAt(p, 10); err != nil || string(p) != "0123456789" {
			t.Errorf("a name of %d bytes: the moved parts file has %q, %v", n, p, err)
		}
		d.Close()
		d = open(to)
		if _, err := d.ReadAt(p, 10); err != nil || string(p) != "0123456789" {
			t.Errorf("a name of %d bytes: the parts file has %q, %v", n, p, err)
		}
		if _, err := os.Lstat(filepath.Join(to, partsName(top))); err != nil || len(partsName(top)) > 143 {
			t.Errorf("a name of %d bytes: the parts file is not called %s: %v", n, partsName(top), err)
		}
		if err := errors.Join(d.DropParts(), d.Close()); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(former); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a name of %d bytes: the former parts file is left: %v", n, err)
		}
	}
}
