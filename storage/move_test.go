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
		t.Errorf("before: %s", got)
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
	if got := tree(t, dir); got != "other t t/d t/d/mine" {
		t.Errorf("remaining: %s", got)
	}
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read afterwards: %v", err)
	}
	d = openSample(t, dir, DirOptions{})
	if err := errors.Join(os.Remove(filepath.Join(dir, "t/d/mine")), d.Remove()); err != nil {
		t.Error(err)
	}
	if got := tree(t, dir); got != "other" {
		t.Errorf("remaining: %s", got)
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
			if where != "same" {
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
				t.Errorf("remaining: %s", got)
			}
			if got := tree(t, to); got != ".new.parts new new/a new/d new/d/b new/empty new/l" {
				t.Errorf("created %s", got)
			}
			if got := d.Path(); got != filepath.Join(to, "new") {
				t.Errorf("path %s", got)
			}
			got := make([]byte, len(want))
			if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
				t.Errorf("read differs, %v", err)
			}
			if err := d.Check(0, 2000); err != nil {
				t.Error(err)
			}
			if _, err := d.WriteAt([]byte{1}, 3); err != nil {
				t.Error(err)
			}
			// The old path is free again, and the new one is in use.
			other, err := OpenLayout(from, d.layout, d.pool, DirOptions{})
			if err != nil {
				t.Error(err)
			} else {
				other.Close()
			}
			if _, err := OpenLayout(to, d.layout, d.pool, DirOptions{Name: "new"}); !errors.Is(err, ErrInUse) {
				t.Errorf("the new path: %v", err)
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
		t.Errorf("created %s", got)
	}
	if err := d.Check(0, 2000); err != nil {
		t.Error(err)
	}
	if err := d.MoveTo(t.Context(), to, "free"); err != nil {
		t.Errorf("after the failures: %v", err)
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
		t.Errorf("got %v", err)
	}
	if a, b := tree(t, from), tree(t, to); a != before || b != "" {
		t.Errorf("there is %s and %s", a, b)
	}
	got := make([]byte, len(want))
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read differs, %v", err)
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
		t.Errorf("the error is %q", text)
	}
	if got := tree(t, dir); got != "t t/dir t/lib t/lib/so.1 t/lib/so.1.2 t/new t/new/deep t/so t/through" {
		t.Errorf("created %s", got)
	}
	for _, p := range []string{"t/so", "t/lib/so.1", "t/dir/so.1", "t/through", "t/new/deep"} {
		if b, err := os.ReadFile(filepath.Join(dir, p)); err != nil || string(b) != "hello" {
			t.Errorf("%s: %q, %v", p, b, err)
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
					t.Errorf("read while it moves: %v", err)
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
