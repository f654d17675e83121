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

// names are the entries and what waits, of a scan.
func names(s Scan) (done, waiting []string) {
	for _, e := range s.Entries {
		done = append(done, e.Name)
	}
	return done, s.Waiting
}

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

func TestSettles(t *testing.T) {
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
	write("new", "12", -3*time.Second) // it grows
	check(4*time.Second, []string{"future", "moved-in", "tree"}, []string{"new"})
	write("tree/deep/b", "1", -4*time.Second)
	check(5*time.Second, []string{"future", "moved-in"}, []string{"new", "tree"})
	check(9*time.Second, []string{"future", "moved-in", "new", "tree"}, nil)
	os.RemoveAll(filepath.Join(f.dir, "tree"))
	check(10*time.Second, []string{"future", "moved-in", "new"}, nil)
}

// TestOpenForWriting protects from what stands still in the middle: while a
// process has it open for writing, it is not complete however old it looks.
func TestOpenForWriting(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells who writes")
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
		t.Errorf("complete %q, waiting %q", done, waiting)
	}
}

func TestStamp(t *testing.T) {
	f, write := watched(t)
	stamp := func(name string) string {
		for _, e := range f.Scan(time.Now()).Entries {
			if e.Name == name {
				return e.Stamp
			}
		}
		t.Fatalf("no %s", name)
		return ""
	}
	write("tree/a", "1", time.Hour)
	path := write("file", "1", time.Hour)
	tree, file := stamp("tree"), stamp("file")
	if stamp("tree") != tree || stamp("file") != file {
		t.Error("stamps change by themselves")
	}
	at := time.Now().Add(-time.Minute)
	os.Chtimes(path, at, at)
	write("tree/b", "", time.Hour)
	if stamp("file") == file || stamp("tree") == tree {
		t.Error("a change is not in the stamps")
	}
	file = stamp("file")
	os.Rename(path, path+".tmp")
	os.WriteFile(path, []byte("1"), 0o644)
	os.Chtimes(path, at, at)
	if stamp("file") == file {
		t.Error("another file of the same size and time has the same stamp")
	}
}

// TestGone protects what is published from a folder that is away: that says
// nothing about what it holds.
func TestGone(t *testing.T) {
	f, write := watched(t)
	write("a", "1", time.Hour)
	f.Scan(time.Now())
	if err := os.Rename(f.dir, f.dir+"-away"); err != nil {
		t.Fatal(err)
	}
	if s := f.Scan(time.Now()); !errors.Is(s.Err, os.ErrNotExist) {
		t.Errorf("%+v", s)
	}
	os.Rename(f.dir+"-away", f.dir)
	f.dev++
	if s := f.Scan(time.Now()); runtime.GOOS != "windows" && s.Err == nil {
		t.Errorf("another file system: %+v", s)
	}
}

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
		t.Errorf("%+v", s)
	}
	write("a", "1", time.Hour) // the rescan would take half a minute
	if s := <-scans; len(s.Entries) != 1 {
		t.Errorf("%+v", s)
	}
	stop := errors.New("stop")
	cancel(stop)
	if err := <-ended; err != stop {
		t.Error(err)
	}
}
