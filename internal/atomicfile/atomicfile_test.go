package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

func TestReplace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	for _, text := range []string{"first", "", "second"} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("the file contains %q, %v, want %q", b, err, text)
		}
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("the file has the mode %v, %v, want 0600", info.Mode(), err)
	}
	// If a replacement fails, the old file stays and no temporary file is left.
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if Replace(taken, nil) == nil {
		t.Error("Replace succeeded for the path of a directory")
	}
	if err := Replace(filepath.Join(dir, "none", "keys"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Replace in a missing directory returned %v, want fs.ErrNotExist", err)
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 2 {
		t.Errorf("the directory contains %q, %v, want two entries and no temporary file", names, err)
	}
	if err := SyncDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SyncDir of a missing directory returned %v, want fs.ErrNotExist", err)
	}
}

// TestDirSyncError checks that a file system which cannot sync directories is no failure, and
// that a disk which fails is one.
func TestDirSyncError(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.EINVAL, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS} {
		if err := dirSyncError(&fs.PathError{Op: "sync", Path: "d", Err: errno}); err != nil {
			t.Errorf("%v is reported: %v", errno, err)
		}
	}
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		if err := dirSyncError(&fs.PathError{Op: "sync", Path: "d", Err: errno}); !errors.Is(err, errno) {
			t.Errorf("%v is not reported: %v", errno, err)
		}
	}
	if err := dirSyncError(nil); err != nil {
		t.Errorf("no error is reported as %v", err)
	}
}

// TestSetAside checks that an entry that cannot be used is renamed, and that few are kept.
func TestSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	for range 3 * maxAside {
		if err := os.MkdirAll(filepath.Join(path, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		aside, err := SetAside(path)
		if err != nil || !IsAside(aside) || IsAside(path) {
			t.Fatalf("SetAside returned %q, %v", aside, err)
		}
		if _, err := os.Stat(filepath.Join(aside, "sub")); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != maxAside {
		t.Errorf("%d entries are kept, %v, want %d", len(entries), err, maxAside)
	}
}

// TestSetAsideOther checks which entries are set aside: those at which no file can be opened.
func TestSetAsideOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		make  func(path string) error
		moves bool
	}{
		{"missing", func(string) error { return nil }, false},
		{"file", func(p string) error { return os.WriteFile(p, nil, 0o600) }, false},
		{"link to a file", func(p string) error { return errors.Join(os.WriteFile(p+"1", nil, 0o600), os.Symlink("log1", p)) }, false},
		{"link to a new name", func(p string) error { return os.Symlink("log1", p) }, false},
		{"link to a new name, absolute", func(p string) error { return os.Symlink(p+"1", p) }, false},
		{"link to nowhere", func(p string) error { return os.Symlink("none/log1", p) }, true},
		{"link to a directory", func(p string) error { return errors.Join(os.Mkdir(p+"1", 0o700), os.Symlink("log1", p)) }, true},
		{"link to itself in a missing directory", func(p string) error { return os.Symlink("x/../x/log", p) }, true},
		{"directory", func(p string) error { return os.MkdirAll(filepath.Join(p, "sub"), 0o700) }, true},
	} {
		path := filepath.Join(t.TempDir(), "log")
		if err := c.make(path); err != nil {
			t.Fatal(err)
		}
		aside, err := SetAsideOther(path)
		if err != nil || (aside != "") != c.moves {
			t.Errorf("%s: SetAsideOther returned %q, %v", c.name, aside, err)
		}
		if f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600); err != nil {
			t.Errorf("%s: no file can be opened afterwards: %v", c.name, err)
		} else {
			f.Close()
		}
	}
}
