package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestSyncMany checks that syncing many files records the state of each written file, and
// reports a replaced file and a later change of a file.
func TestSyncMany(t *testing.T) {
	t.Parallel()
	const count, size = manyFiles + 10, 3
	var files []File
	for i := range count {
		files = append(files, File{Path: fmt.Sprintf("top/d%d/f%d", i%7, i), Offset: int64(i * size), Length: size})
	}
	dir := t.TempDir()
	d := openFiles(t, dir, files, DirOptions{})
	for i := range count {
		if _, err := d.WriteAt([]byte("abc"), int64(i*size)); err != nil {
			t.Fatal(err)
		}
	}
	const replaced, touched = 5, 9
	other := filepath.Join(dir, files[replaced].Path)
	if err := os.WriteFile(other+".new", []byte("xyz"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.file(replaced).slot.drop() // Windows cannot replace an open file
	if err := os.Rename(other+".new", other); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	written := slices.Clone(d.dirty)
	d.mu.Unlock()
	if rest := d.syncMany(written); canSyncFS && !slices.Equal(rest, []int{replaced}) {
		t.Errorf("of %d files %v were not synced with the others, want only the replaced one", len(written), rest)
	}
	err := d.Sync()
	var failed *Error
	if !errors.As(err, &failed) || failed.File != replaced || !errors.Is(err, ErrChanged) {
		t.Errorf("Sync: %v, want that file %d has changed", err, replaced)
	}
	for i := range count {
		st := d.file(i)
		if dirty := d.unsynced.has(i); dirty != (i == replaced) || st.writing.Load() != 0 {
			t.Fatalf("file %d has dirty %v and %d writes in progress after Sync", i, dirty, st.writing.Load())
		}
		now, err := d.stat(i)
		if err != nil || i != replaced && !st.expected.Same(now) {
			t.Fatalf("file %d is expected to be %+v and is %+v (%v)", i, st.expected, now, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, files[touched].Path), []byte("longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(make([]byte, size), touched*size); !errors.Is(err, ErrChanged) {
		t.Errorf("reading a file that another program has changed: %v", err)
	}
}
