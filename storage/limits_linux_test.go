package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// rerun runs a test in a new process with SPATE_INNER set to mode.
func rerun(t *testing.T, run, mode string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+run+"$", "-test.v")
	cmd.Env = append(os.Environ(), "SPATE_INNER="+mode)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the inner test with mode %s failed: %v\n%s", mode, err, out)
	}
}

// TestFewDescriptors checks that a pool with a suitable limit, and a pool whose limit is
// too large, can use thousands of files with 64 descriptors.
func TestFewDescriptors(t *testing.T) {
	switch mode := os.Getenv("SPATE_INNER"); mode {
	case "":
		rerun(t, "TestFewDescriptors", "fits")
		rerun(t, "TestFewDescriptors", "too large")
	default:
		lim := syscall.Rlimit{Cur: 64, Max: 64}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
			t.Fatal(err)
		}
		pool := NewPool(0)
		if mode == "too large" {
			pool = NewPool(1000)
		}
		if mode == "fits" && pool.Stats().Limit > 16 {
			t.Errorf("the default pool has %+v, want a limit of at most 16", pool.Stats())
		}
		stress(t, pool, 10, 60, 16, 100)
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil && mode == "fits" {
			t.Errorf("with a suitable limit: %v", err)
		}
		t.Logf("%d descriptors open, %+v", len(list), pool.Stats())
	}
}

// mount mounts a file system of 1 MiB and returns its directory.
func mount(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("spate-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("cannot mount a small file system: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error("a descriptor is left: ", err)
			_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		}
	})
	return dir
}

// TestDiskFull checks that writing to a full disk returns ErrFull and keeps existing data,
// and that writing works again when the disk has space.
func TestDiskFull(t *testing.T) {
	dir := mount(t)
	mustWrite(t, filepath.Join(dir, "filler"), strings.Repeat("x", 600<<10))
	d := openFiles(t, dir, []File{{Path: "t/f", Length: 4 << 20}, {Path: "t/g", Offset: 4 << 20, Length: 10}}, DirOptions{})
	t.Cleanup(func() { d.Close(); d.pool.Close() }) // before the unmount
	block := bytes.Repeat([]byte{7}, 64<<10)
	off := int64(0)
	var err error
	for ; err == nil && off < 2<<20; off += int64(len(block)) {
		_, err = d.WriteAt(block, off)
	}
	wantReason(t, "write", err, ErrFull)
	var e *Error
	if !errors.As(err, &e) || e.File != 0 || !strings.Contains(err.Error(), "disk full (no space left on device)") {
		t.Errorf("the error is %v, want one about file 0 and a full disk", err)
	}
	got := make([]byte, len(block))
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, block) {
		t.Errorf("what was written before: %v", err)
	}
	if err := d.Check(0, 5<<20); err != nil {
		t.Errorf("Check returned %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt(block, off); err != nil {
		t.Errorf("WriteAt on a disk with space returned %v", err)
	}
	if err := d.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
}

// TestNoInodes checks that nothing is created partially if the file system has no
// inodes left.
func TestNoInodes(t *testing.T) {
	dir := mount(t)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=1m,nr_inodes=3"); err != nil {
		t.Skip(err)
	}
	d := openSample(t, dir, DirOptions{})
	t.Cleanup(func() { d.Close(); d.pool.Close() })
	_, err := d.WriteAt([]byte{1}, 200)
	wantReason(t, "write", err, ErrFull)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=1m,nr_inodes=100"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt([]byte{1}, 200); err != nil {
		t.Errorf("WriteAt on a file system with free inodes returned %v", err)
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := mount(t)
	d := openSample(t, dir, DirOptions{})
	t.Cleanup(func() { d.Close(); d.pool.Close() })
	if _, err := d.WriteAt([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	d.pool.Close()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skip(err)
	}
	for _, off := range []int64{0, 300} {
		_, err := d.WriteAt([]byte{1}, off)
		wantReason(t, fmt.Sprint("write at ", off), err, ErrReadOnly)
	}
	if _, err := d.ReadAt(make([]byte, 1), 0); err != nil {
		t.Errorf("ReadAt on a read-only file system returned %v", err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt([]byte{1}, 0); err != nil {
		t.Errorf("WriteAt after the file system became writable returned %v", err)
	}
}

// TestUnmounted checks that an operation on an unmounted file system returns ErrMissing and
// creates nothing in the mount point.
func TestUnmounted(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("spate-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip(err)
	}
	d := openSample(t, dir, DirOptions{})
	fill(t, d)
	if err := d.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
	d.pool.Close()
	if err := syscall.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "Check", d.Check(0, 10), ErrMissing)
	_, err := d.WriteAt([]byte{1}, 0)
	wantReason(t, "write", err, ErrMissing)
	if got := tree(t, dir); got != "" {
		t.Errorf("%s was created in the mount point, want nothing", got)
	}
}

// TestPermissions checks the errors for missing permissions. It needs a user other than
// root, who has all permissions.
func TestPermissions(t *testing.T) {
	dir := os.Getenv("SPATE_INNER")
	switch {
	case dir == "" && os.Geteuid() == 0:
		dir = t.TempDir()
		for _, p := range []string{filepath.Dir(dir), dir} {
			if err := os.Chmod(p, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		rerun(t, "TestPermissions", dir)
		return
	case dir == "":
		dir = t.TempDir()
	default:
		if err := syscall.Setuid(65534); err != nil {
			t.Skip(err)
		}
	}
	for _, p := range []string{"t/a", "t/d/c"} {
		mustWrite(t, filepath.Join(dir, p), strings.Repeat("x", 100))
	}
	for p, mode := range map[string]os.FileMode{"t/a": 0o444, "t/d/c": 0} {
		if err := os.Chmod(filepath.Join(dir, p), mode); err != nil {
			t.Fatal(err)
		}
	}
	d := openSample(t, dir, DirOptions{})
	if _, err := d.ReadAt(make([]byte, 10), 0); err != nil {
		t.Errorf("ReadAt of a readable file returned %v", err)
	}
	_, err := d.WriteAt([]byte{1}, 0)
	wantReason(t, "write to a file that is not writable", err, ErrReadOnly)
	_, err = d.ReadAt(make([]byte, 10), 1300)
	wantReason(t, "read of a file that is not readable", err, ErrDenied)
	if err := os.Chmod(filepath.Join(dir, "t/d"), 0o555); err != nil {
		t.Fatal(err)
	}
	_, err = d.WriteAt([]byte{1}, 200)
	wantReason(t, "create in a directory that is not writable", err, ErrReadOnly)
	_ = os.Chmod(filepath.Join(dir, "t/d"), 0o755)
}
