package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// treeData is the whole file or directory at a path.
type treeData struct {
	paths  []string
	stamp  string
	newest time.Time
	single bool
}

func (d *treeData) Paths() iter.Seq[string]    { return slices.Values(d.paths) }
func (d *treeData) Stamp() (string, time.Time) { return d.stamp, d.newest }
func (d *treeData) Single() bool               { return d.single }

// dataAt lists the data at path, which may be a link. It leaves out the directory skipped.
func dataAt(path string) (Data, error) {
	top, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	d := &treeData{}
	return d, filepath.WalkDir(top, func(at string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.Name() == "skipped" {
			return fs.SkipDir
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.ModTime().After(d.newest) {
			d.newest = info.ModTime()
		}
		if !e.IsDir() {
			rel, _ := filepath.Rel(top, at)
			if rel == "." {
				rel, d.single = "", true
			}
			d.paths = append(d.paths, filepath.ToSlash(rel))
			d.stamp += fmt.Sprint(rel, info.Size(), info.ModTime())
		}
		return nil
	})
}

// TestWait checks when data at a path counts as complete. The clock of the test is ahead of
// that of the file system, so that only Quiet requires a wait.
func TestWait(t *testing.T) {
	for _, c := range []struct {
		name           string
		dir, link      bool
		writer, recent bool
		elsewhere      bool
		quiet          bool
		waits          bool
	}{
		{name: "old file"},
		{name: "old tree with a writer of a file that is left out", dir: true, elsewhere: true},
		{name: "old tree", dir: true},
		{name: "link to an old file", link: true},
		{name: "old file with a writer", writer: true, waits: true},
		{name: "old tree with a writer", dir: true, writer: true, waits: true},
		{name: "link to a file with a writer", link: true, writer: true, waits: true},
		{name: "new file", recent: true},
		{name: "new tree", recent: true, dir: true, waits: true},
		{name: "new file that changed before", recent: true, quiet: true, waits: true},
		{name: "old file that changed before", quiet: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if runtime.GOOS != "linux" && (c.writer || c.recent) {
				t.Skip("only Linux tells which files are open for writing")
			}
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "x")
				file := path
				if c.dir {
					file = filepath.Join(path, "sub", "a")
					os.MkdirAll(filepath.Dir(file), 0o755)
				}
				if err := os.WriteFile(file, []byte("1"), 0o644); err != nil {
					t.Fatal(err)
				}
				at := time.Now() // the clock of the test
				if !c.recent {
					at = at.Add(-time.Hour)
				}
				for p := file; p != filepath.Dir(path); p = filepath.Dir(p) {
					os.Chtimes(p, at, at)
				}
				if c.link {
					link := filepath.Join(t.TempDir(), "link")
					if err := os.Symlink(path, link); err != nil {
						t.Skip(err)
					}
					path = link
				}
				if c.elsewhere {
					os.Mkdir(filepath.Join(path, "skipped"), 0o755)
					w, err := os.Create(filepath.Join(path, "skipped", "log"))
					if err != nil {
						t.Fatal(err)
					}
					defer w.Close()
					os.Chtimes(path, at, at)
				}
				if c.writer {
					w, err := os.OpenFile(file, os.O_WRONLY, 0)
					if err != nil {
						t.Fatal(err)
					}
					defer w.Close()
					time.AfterFunc(time.Minute, func() { w.Close() })
				}
				told := 0
				start := time.Now()
				err := Wait(t.Context(), path, WaitOptions{Quiet: c.quiet, Waiting: func() { told++ }}, func() (Data, error) { return dataAt(path) })
				waited := time.Since(start)
				least, most := time.Duration(0), time.Duration(0)
				switch {
				case c.writer:
					least, most = time.Minute, time.Minute+DefaultSettle
				case c.waits:
					least, most = DefaultSettle, 2*DefaultSettle
				}
				if err != nil || waited < least || waited > most || (told == 1) != c.waits {
					t.Errorf("Wait returned %v after %v and reported the wait %d times; want nil after %v to %v, reported: %t", err, waited, told, least, most, c.waits)
				}
			})
		})
	}
}

// TestWaitEnds checks that Wait returns the error of a missing path, and the cause of its
// context while a program writes.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x")
	list := func() (Data, error) { return dataAt(path) }
	alone, inDir := slices.Values([]string{""}), slices.Values([]string{"x"})
	if err := Wait(t.Context(), path, WaitOptions{}, list); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("for a missing file Wait returned %v", err)
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells which files are open for writing")
	}
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var written *WrittenError
	if err := CheckNamed(path, alone); !errors.As(err, &written) || written.Path != path {
		t.Errorf("CheckNamed returned %v, want a WrittenError with %s", err, path)
	}
	if err := CheckNamed(filepath.Dir(path), inDir); !errors.As(err, &written) || written.Path != path {
		t.Errorf("CheckNamed of the directory returned %v, want a WrittenError with %s", err, path)
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := Wait(ctx, path, WaitOptions{Waiting: func() { cancel(stop) }}, list); err != stop {
		t.Errorf("Wait returned %v, want %v", err, stop)
	}
	w.Close()
	if err := CheckNamed(path, alone); err != nil {
		t.Errorf("after the writer has closed the file, CheckNamed returned %v", err)
	}
}
