package storage

import (
	"errors"
	"hash/maphash"
	"os"
	"path/filepath"
	"testing"
)

// TestMoveComparesCopies checks that a copy is compared with what was written before the old files are
// deleted.
func TestMoveComparesCopies(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	d := openSample(t, from, DirOptions{})
	fill(t, d)
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	copies, err := OpenLayout(to, d.layout, NewPool(minPool), DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer copies.Close()
	parts := copied{seed: maphash.MakeSeed()}
	buf := make([]byte, 1<<20)
	for i := range d.layout.files {
		if !d.stored(i) {
			continue
		}
		if err := d.copyFile(t.Context(), copies, i, buf, &parts); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(copies.Sync(), parts.check(t.Context(), copies, buf)); err != nil {
		t.Errorf("good copies: %v", err)
	}
	copies.dropAll()
	path := filepath.Join(to, filepath.FromSlash(copies.name(0)))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := copies.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := parts.check(t.Context(), copies, buf); !errors.Is(err, ErrIO) {
		t.Errorf("a copy with another byte: %v", err)
	}
}

// TestMoveRefusesChangedFile checks that a file that another program has changed is not moved.
func TestMoveRefusesChangedFile(t *testing.T) {
	from, to := t.TempDir(), otherDevice(t)
	d := openSample(t, from, DirOptions{})
	fill(t, d)
	if err := errors.Join(d.Sync(), d.Accept()); err != nil {
		t.Fatal(err)
	}
	d.dropAll()
	path := filepath.Join(from, filepath.FromSlash(d.name(0)))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(path, b, 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := d.MoveTo(t.Context(), to, ""); !errors.Is(err, ErrChanged) || tree(t, to) != "" {
		t.Errorf("the move: %v, and the new directory contains %s", err, tree(t, to))
	}
}
