package storage

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// openSynced returns an opened sample whose files are written and synced.
func openSynced(t *testing.T) (*Dir, string) {
	t.Helper()
	dir := t.TempDir()
	d := openSample(t, dir, DirOptions{})
	fill(t, d)
	if err := errors.Join(d.Prepare(), d.Sync()); err != nil {
		t.Fatal(err)
	}
	return d, dir
}

// TestCheckNotices checks that Check, and the next operation that opens the file,
// detect changes by other programs.
func TestCheckNotices(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(path string) error
		reason error
		write  error // the error of a write
	}{
		{"removed", os.Remove, ErrMissing, ErrMissing},
		{"cut", func(p string) error { return os.Truncate(p, 50) }, ErrChanged, ErrChanged},
		{"longer", func(p string) error { return os.Truncate(p, 500) }, ErrChanged, ErrChanged},
		{"replaced", func(p string) error {
			return errors.Join(os.WriteFile(p+".new", make([]byte, 100), 0o666), os.Rename(p+".new", p))
		}, ErrChanged, ErrChanged},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, dir := openSynced(t)
			path := filepath.Join(dir, "t/a")
			if err := c.do(path); err != nil {
				t.Fatal(err)
			}
			if c.name == "cut" {
				touchLater(t, path)
			}
			wantReason(t, "Check", d.Check(0, 10), c.reason)
			if err := d.Check(100, 1<<40); err != nil {
				t.Errorf("Check of the other files returned %v", err)
			}
			_, err := d.ReadAt(make([]byte, 10), 0)
			wantReason(t, "read", err, c.reason)
			var e *Error
			if !errors.As(err, &e) || e.File != 0 || e.Path != path {
				t.Errorf("the error is about file %d at %s, want file 0 at %s", e.File, e.Path, path)
			}
			_, err = d.WriteAt(make([]byte, 10), 0)
			wantReason(t, "write", err, c.write)
			if _, err := os.Stat(path); c.name == "removed" && err == nil {
				t.Error("a removed file was created again")
			}
			if err := d.Accept(); err != nil {
				t.Fatal(err)
			}
			if err := d.Check(0, 10); err != nil && c.name != "removed" {
				t.Errorf("Check after Accept returned %v", err)
			}
			if _, err := d.WriteAt(make([]byte, 10), 0); err != nil {
				t.Errorf("WriteAt after Accept returned %v", err)
			}
		})
	}
}

func TestCheckNoticesTouch(t *testing.T) {
	d, dir := openSynced(t)
	touchLater(t, filepath.Join(dir, "t/a"))
	wantReason(t, "Check", d.Check(0, 10), ErrChanged)
	if err := d.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := d.Check(0, 1000); err != nil {
		t.Errorf("Check after Accept returned %v", err)
	}
}

// TestAcceptStatsOfEarlier checks that a change after the states were taken is noticed, although
// AcceptStats is called afterwards.
func TestAcceptStatsOfEarlier(t *testing.T) {
	d, dir := openSynced(t)
	stats, err := d.Stats()
	if err != nil {
		t.Fatal(err)
	}
	touchLater(t, filepath.Join(dir, "t/a"))
	d.AcceptStats(stats)
	wantReason(t, "Check", d.Check(0, 10), ErrChanged)
	if err := d.Check(100, 1<<40); err != nil {
		t.Errorf("Check of the other files returned %v", err)
	}
}

// TestCheckOwnWrites checks that writes of this process do not count as changes, before
// and after Sync.
func TestCheckOwnWrites(t *testing.T) {
	d, _ := openSynced(t)
	for range 5 {
		if _, err := d.WriteAt([]byte{1}, 5); err != nil {
			t.Fatal(err)
		}
		if err := d.Check(0, 2000); err != nil {
			t.Errorf("Check after a write returned %v", err)
		}
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		if err := d.Check(0, 2000); err != nil {
			t.Errorf("Check after Sync returned %v", err)
		}
	}
}

// TestCheckWhileWriting checks that Check finds no changes during writes and syncs.
func TestCheckWhileWriting(t *testing.T) {
	d, _ := openSynced(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 500 {
			if _, err := d.WriteAt([]byte{1}, int64(i%2)*200); err != nil {
				t.Errorf("WriteAt: %v", err)
			}
			if i%50 == 0 {
				if err := d.Sync(); err != nil {
					t.Errorf("Sync: %v", err)
				}
			}
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
		}
		if err := d.Check(0, 2000); err != nil {
			t.Fatalf("a write of this process counts as a change: %v", err)
		}
	}
}

// TestDirectoryGone checks that nothing is created in a directory that was removed or
// replaced.
func TestDirectoryGone(t *testing.T) {
	for _, name := range []string{"gone", "another", "emptied"} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dir := filepath.Join(base, "mnt")
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			d := openSample(t, dir, DirOptions{})
			fill(t, d)
			if err := d.Sync(); err != nil {
				t.Fatal(err)
			}
			switch name {
			case "emptied":
				if err := os.RemoveAll(filepath.Join(dir, "t")); err != nil {
					t.Fatal(err)
				}
			default:
				if err := os.Rename(dir, filepath.Join(base, "away")); err != nil {
					t.Fatal(err)
				}
				if name == "another" {
					if err := os.Mkdir(dir, 0o777); err != nil {
						t.Fatal(err)
					}
				}
			}
			wantReason(t, "Check", d.Check(0, 10), ErrMissing)
			d.pool.Close()
			_, err := d.WriteAt([]byte{1}, 1300)
			wantReason(t, "write", err, ErrMissing)
			_, err = d.ReadAt(make([]byte, 1), 1300)
			wantReason(t, "read", err, ErrMissing)
			if _, err := os.Stat(filepath.Join(dir, "t")); err == nil {
				t.Error("files were created in a directory that is not the original one")
			}
			if name == "gone" || name == "another" {
				_ = os.Remove(dir)
				if err := os.Rename(filepath.Join(base, "away"), dir); err != nil {
					t.Fatal(err)
				}
				if _, err := d.ReadAt(make([]byte, 1), 1300); err != nil {
					t.Errorf("after it was restored: %v", err)
				}
			}
		})
	}
}

// TestSyncFails checks that a failed Sync is tried again and reports the error again.
func TestSyncFails(t *testing.T) {
	d, dir := openSynced(t)
	if _, err := d.WriteAt([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	d.pool.Close()
	path := filepath.Join(dir, "t/a")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := d.Sync()
		wantReason(t, "Sync", err, ErrMissing)
		var e *Error
		if errors.As(err, &e) && e.File != 0 {
			t.Errorf("the error is about file %d, want file 0", e.File)
		}
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Sync(); err != nil {
			t.Errorf("after the cause is gone: %v", err)
		}
	}
}

func TestStats(t *testing.T) {
	d, dir := openSynced(t)
	if err := os.Remove(filepath.Join(dir, "t/d/c")); err != nil {
		t.Fatal(err)
	}
	st, err := d.Stats()
	if err != nil || len(st) != len(sample) {
		t.Fatalf("Stats returned %d states, %v, want %d", len(st), err, len(sample))
	}
	for i, want := range []FileStat{{Exists: true, Size: 100}, {}, {Exists: true, Size: 1000}, {Exists: true}, {}, {}} {
		got := st[i]
		if got.Exists && got.ModTime == 0 {
			t.Errorf("file %d has no time", i)
		}
		got.ModTime, got.Inode, got.Change = 0, 0, 0
		if got != want {
			t.Errorf("file %d: %+v, want %+v", i, got, want)
		}
	}
}

// TestReadNoticesWrite checks that reads of an open file detect changes by other
// programs.
func TestReadNoticesWrite(t *testing.T) {
	d, dir := openSynced(t)
	buf := make([]byte, 10)
	if _, err := d.ReadAt(buf, 0); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "t/a"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	touchLater(t, filepath.Join(dir, "t/a"))
	if _, err := f.WriteAt([]byte("x"), 5); err != nil {
		t.Fatal(err)
	}
	_, err = d.ReadAt(buf, 0)
	wantReason(t, "read of a file that changed", err, ErrChanged)
	if err := d.Accept(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(buf, 0); err != nil {
		t.Errorf("ReadAt after Accept returned %v", err)
	}
}
