package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

// names returns the names of the complete and the waiting entries of a scan.
func names(s Scan) (done, waiting []string) {
	for _, e := range s.Entries {
		done = append(done, e.Name)
	}
	return done, s.Waiting
}

// watched returns a watcher of a new folder, and a function that writes a file into it. age
// is the time since the last change of the file and its directories.
func watched(t *testing.T) (*Folder, func(name, data string, age time.Duration) string) {
	t.Helper()
	f, err := New(t.TempDir(), Options{Settle: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return f, func(name, data string, age time.Duration) string {
		t.Helper()
		path := filepath.Join(f.dir, filepath.FromSlash(name))
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		for p := path; p != f.dir; p = filepath.Dir(p) {
			os.Chtimes(p, at, at)
		}
		return path
	}
}

// TestSettle checks that new and growing entries become complete after Settle, old ones at
// once, and temporary ones never.
func TestSettle(t *testing.T) {
	f, write := watched(t)
	now := time.Now()
	check := func(at time.Duration, done, waiting []string) {
		t.Helper()
		d, w := names(f.Scan(now.Add(at)))
		if !slices.Equal(d, done) || !slices.Equal(w, waiting) {
			t.Errorf("after %v: complete %q, waiting %q; want %q, %q", at, d, w, done, waiting)
		}
	}
	write("moved-in", "1", time.Hour)
	write("tree/deep/a", "1", time.Hour)
	write("new", "1", 0)
	write(".hidden", "1", time.Hour)
	write("x.part", "1", time.Hour)
	write("future", "1", -time.Hour)
	check(0, []string{"moved-in", "tree"}, []string{"future", "new"})
	check(2*time.Second, []string{"moved-in", "tree"}, []string{"future", "new"})
	write("new", "12", -3*time.Second) // the file grows
	check(4*time.Second, []string{"future", "moved-in", "tree"}, []string{"new"})
	write("tree/deep/b", "1", -4*time.Second)
	check(5*time.Second, []string{"future", "moved-in"}, []string{"new", "tree"})
	check(9*time.Second, []string{"future", "moved-in", "new", "tree"}, nil)
	os.RemoveAll(filepath.Join(f.dir, "tree"))
	check(10*time.Second, []string{"future", "moved-in", "new"}, nil)
}

// TestOpenForWriting checks that an old file is not complete while a process has it open for
// writing, because its writer may only pause.
func TestOpenForWriting(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells which files are open for writing")
	}
	f, write := watched(t)
	path := write("slow", "half", time.Hour)
	inTree := write("tree/slow", "half", time.Hour)
	for _, p := range []string{path, inTree} {
		w, err := os.OpenFile(p, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
	}
	if done, waiting := names(f.Scan(time.Now().Add(time.Hour))); len(done) > 0 || !slices.Equal(waiting, []string{"slow", "tree"}) {
		t.Errorf("the complete entries are %q and the waiting ones %q, want none and slow, tree", done, waiting)
	}
}

// TestStamp checks that a stamp changes with the time, the name and the inode of a file, and
// does not change otherwise.
func TestStamp(t *testing.T) {
	f, write := watched(t)
	stamp := func(name string) string {
		for _, e := range f.Scan(time.Now()).Entries {
			if e.Name == name {
				return e.Stamp
			}
		}
		t.Fatalf("the scan found no complete entry %s", name)
		return ""
	}
	write("tree/a", "1", time.Hour)
	path := write("file", "1", time.Hour)
	tree, file := stamp("tree"), stamp("file")
	if stamp("tree") != tree || stamp("file") != file {
		t.Error("the stamp of an unchanged entry differs")
	}
	at := time.Now().Add(-time.Minute)
	os.Chtimes(path, at, at)
	write("tree/b", "", time.Hour)
	if stamp("file") == file || stamp("tree") == tree {
		t.Error("the stamp is the same after a change")
	}
	file = stamp("file")
	os.Rename(path, path+".tmp")
	os.WriteFile(path, []byte("1"), 0o644)
	os.Chtimes(path, at, at)
	if stamp("file") == file {
		t.Error("another file of the same size and time has the same stamp")
	}
}

// TestMissingFolderIsAnError checks that a scan of a missing folder, or of a folder on
// which another file system is mounted, returns an error. An empty list would make the
// caller withdraw all releases.
func TestMissingFolderIsAnError(t *testing.T) {
	f, write := watched(t)
	write("a", "1", time.Hour)
	f.Scan(time.Now())
	if err := os.Rename(f.dir, f.dir+"-away"); err != nil {
		t.Fatal(err)
	}
	if s := f.Scan(time.Now()); !errors.Is(s.Err, os.ErrNotExist) {
		t.Errorf("the scan of a missing folder is %+v, want os.ErrNotExist", s)
	}
	os.Rename(f.dir+"-away", f.dir)
	f.dev++
	if s := f.Scan(time.Now()); runtime.GOOS != "windows" && s.Err == nil {
		t.Errorf("the scan of another file system is %+v, want an error", s)
	}
}

// TestRun checks that Run scans at once and after a change, and returns the cause of its
// context.
func TestRun(t *testing.T) {
	f, write := watched(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	scans := make(chan Scan)
	ended := make(chan error, 1)
	go func() {
		ended <- f.Run(ctx, func(s Scan) {
			select {
			case scans <- s:
			case <-ctx.Done():
			}
		})
	}()
	if s := <-scans; len(s.Entries) != 0 || s.Err != nil {
		t.Errorf("the first scan is %+v, want no entries", s)
	}
	write("a", "1", time.Hour) // so early that the regular scan, after 30 s, cannot be the reason
	if s := <-scans; len(s.Entries) != 1 {
		t.Errorf("the scan after a change is %+v, want one entry", s)
	}
	stop := errors.New("stop")
	cancel(stop)
	if err := <-ended; err != stop {
		t.Errorf("Run returned %v, want %v", err, stop)
	}
}
