package storage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	d := openSample(t, dir, DirOptions{Skip: []bool{false, false, false, false, true}})
	fill(t, d)
	if err := errors.Join(d.Prepare(), d.Finish()); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(dir, "t/d/mine"), "x")
	mustWrite(t, filepath.Join(dir, "other"), "x")
	if got := tree(t, dir); got != ".t.parts other t t/a t/d t/d/b t/d/mine t/empty t/l" {
		t.Errorf("before Remove there are %s, want the files of the torrent and others", got)
	}
	if err := d.Remove(); err != nil {
		t.Errorf("Remove: %v", err)
	}
	if got := tree(t, dir); got != "other t t/d t/d/mine" {
		t.Errorf("after Remove there are %s, want only other files", got)
	}
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("ReadAt after Remove returned %v, want os.ErrClosed", err)
	}
	d = openSample(t, dir, DirOptions{})
	if err := errors.Join(os.Remove(filepath.Join(dir, "t/d/mine")), d.Remove()); err != nil {
		t.Errorf("the second Remove: %v", err)
	}
	if got := tree(t, dir); got != "other" {
		t.Errorf("after the second Remove there are %s, want only other", got)
	}
}

// otherDevice returns a directory on another file system.
func otherDevice(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "spate-test-*")
	if err != nil {
		t.Skip("no second file system: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestMoveTo(t *testing.T) {
	for _, where := range []string{"same file system", "other file system"} {
		t.Run(where, func(t *testing.T) {
			from, to := t.TempDir(), t.TempDir()
			if where != "same file system" {
				to = otherDevice(t)
			}
			d := openSample(t, from, DirOptions{Skip: []bool{false, false, false, false, true}})
			want := fill(t, d)
			if err := errors.Join(d.Prepare(), d.Finish(), d.Sync()); err != nil {
				t.Fatal(err)
			}
			if err := d.MoveTo(t.Context(), to, "new"); err != nil {
				t.Fatal(err)
			}
			if got := tree(t, from); got != "" {
				t.Errorf("after the move the old directory contains %s, want nothing", got)
			}
			if got := tree(t, to); got != ".new.parts new new/a new/d new/d/b new/empty new/l" {
				t.Errorf("after the move the new directory contains %s, want all files", got)
			}
			if got := d.Path(); got != filepath.Join(to, "new") {
				t.Errorf("Path returned %s, want the new path", got)
			}
			got := make([]byte, len(want))
			if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
				t.Errorf("ReadAt after the move returned other data, or %v", err)
			}
			if err := d.Check(0, 2000); err != nil {
				t.Errorf("Check after the move: %v", err)
			}
			if _, err := d.WriteAt([]byte{1}, 3); err != nil {
				t.Errorf("WriteAt after the move: %v", err)
			}
			// The old path is free again, and the new one is in use.
			other, err := OpenLayout(from, d.layout, d.pool, DirOptions{})
			if err != nil {
				t.Errorf("opening the old path: %v", err)
			} else {
				other.Close()
			}
			if _, err := OpenLayout(to, d.layout, d.pool, DirOptions{Name: "new"}); !errors.Is(err, ErrInUse) {
				t.Errorf("opening the new path returned %v, want ErrInUse", err)
			}
		})
	}
}

func TestMoveToRefused(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	d := openSample(t, from, DirOptions{})
	fill(t, d)
	mustWrite(t, filepath.Join(to, "t/mine"), "x")
	wantReason(t, "over something", d.MoveTo(t.Context(), to, ""), ErrObstructed)
	wantReason(t, "to nowhere", d.MoveTo(t.Context(), filepath.Join(to, "none"), ""), ErrMissing)
	wantReason(t, "bad name", d.MoveTo(t.Context(), to, "../x"), ErrObstructed)
	if got := tree(t, to); got != "t t/mine" {
		t.Errorf("after refused moves the directory contains %s, want only the existing files", got)
	}
	if err := d.Check(0, 2000); err != nil {
		t.Errorf("Check after refused moves: %v", err)
	}
	if err := d.MoveTo(t.Context(), to, "free"); err != nil {
		t.Errorf("MoveTo after refused moves returned %v", err)
	}
}

// TestMoveToCancelled checks that a cancelled move changes nothing.
func TestMoveToCancelled(t *testing.T) {
	from, to := t.TempDir(), otherDevice(t)
	d := openSample(t, from, DirOptions{})
	want := fill(t, d)
	before := tree(t, from)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.MoveTo(ctx, to, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("MoveTo returned %v, want context.Canceled", err)
	}
	if a, b := tree(t, from), tree(t, to); a != before || b != "" {
		t.Errorf("after the cancelled move there are %q and %q, want %q and nothing", a, b, before)
	}
	got := make([]byte, len(want))
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("ReadAt after the cancelled move returned other data, or %v", err)
	}
}

// TestFinish checks that Finish creates only links that lead to files of the torrent,
// directly or through other links.
func TestFinish(t *testing.T) {
	files := []File{
		{Path: "t/lib/so.1.2", Length: 5},
		{Path: "t/lib/so.1", Offset: 5, Link: "t/lib/so.1.2"},
		{Path: "t/so", Offset: 5, Link: "t/lib/so.1"},
		{Path: "t/dir", Offset: 5, Link: "t/lib"},
		{Path: "t/through", Offset: 5, Link: "t/dir/so.1"},
		{Path: "t/lib/up", Offset: 5, Link: "t/lib"},
		{Path: "t/x", Offset: 5, Link: "t/y"},
		{Path: "t/y", Offset: 5, Link: "t/x"},
		{Path: "t/none", Offset: 5, Link: "t/nothing"},
		{Path: "t/out", Offset: 5, Link: "etc/passwd"},
		{Path: "t/new/deep", Offset: 5, Link: "t/lib/so.1.2"},
	}
	dir := t.TempDir()
	d := openFiles(t, dir, files, DirOptions{})
	if _, err := d.WriteAt([]byte("hello"), 0); err != nil {
		t.Fatal(err)
	}
	err := d.Finish()
	wantReason(t, "Finish", err, ErrObstructed)
	var all interface{ Unwrap() []error }
	if !errors.As(err, &all) || len(all.Unwrap()) != 5 {
		t.Errorf("want five refused links: %v", err)
	}
	if text := err.Error(); strings.Contains(text, "\n") || !strings.HasSuffix(text, "(and 4 more)") {
		t.Errorf("the error is %q, want one line that ends in \"(and 4 more)\"", text)
	}
	if got := tree(t, dir); got != "t t/dir t/lib t/lib/so.1 t/lib/so.1.2 t/new t/new/deep t/so t/through" {
		t.Errorf("there are %s, want the files and the allowed links", got)
	}
	for _, p := range []string{"t/so", "t/lib/so.1", "t/dir/so.1", "t/through", "t/new/deep"} {
		if b, err := os.ReadFile(filepath.Join(dir, p)); err != nil || string(b) != "hello" {
			t.Errorf("reading %s gave %q, %v, want \"hello\"", p, b, err)
		}
	}
}

// TestMoveToWhileReading checks that reads work while the files move to another file
// system and back.
func TestMoveToWhileReading(t *testing.T) {
	here, there := t.TempDir(), otherDevice(t)
	d := openSample(t, here, DirOptions{})
	defer d.Close()
	want := bytes.Repeat([]byte{7}, 1000)
	if _, err := d.WriteAt(want, 128); err != nil { // t/d/b
		t.Fatal(err)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			p := make([]byte, 1000)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := d.ReadAt(p, 128); err != nil || !bytes.Equal(p, want) {
					t.Errorf("ReadAt during the move returned other data, or %v", err)
					return
				}
				d.dropAll() // as if the process had run out of descriptors
			}
		})
	}
	for i := range 20 {
		to := there
		if i%2 == 1 {
			to = here
		}
		if err := d.MoveTo(t.Context(), to, ""); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
}
