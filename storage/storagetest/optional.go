package storagetest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"spate/storage"
)

// optional returns a new storage with written data, and the same storage as the optional
// interface T. It skips the test if the storage does not implement T.
func optional[T any](t *testing.T, open Open) (s storage.Storage, o T, data []byte) {
	const n = 150_001
	s = open(t, n)
	o, ok := storage.As[T](s)
	if !ok {
		s.Close()
		t.Skipf("the storage does not implement %T", &o)
	}
	t.Cleanup(func() { s.Close() })
	data = make([]byte, n)
	for i := range data {
		data[i] = byte(i*7 + i/256)
	}
	write(t, s, data, 0)
	return s, o, data
}

func write(t *testing.T, s storage.Storage, p []byte, off int64) {
	t.Helper()
	if _, err := s.WriteAt(p, off); err != nil {
		t.Fatal(err)
	}
}

// holds checks that s contains data.
func holds(t *testing.T, s storage.Storage, data []byte) {
	t.Helper()
	got := make([]byte, len(data))
	if _, err := s.ReadAt(got, 0); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the storage does not contain what was written: %v", err)
	}
}

// testChangeDetector checks that Check finds no change after writes of the storage itself.
func testChangeDetector(t *testing.T, open Open) {
	s, d, data := optional[storage.ChangeDetector](t, open)
	if err := d.Accept(); err != nil {
		t.Fatal(err)
	}
	write(t, s, data[:1000], 0)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	n := int64(len(data))
	for _, r := range [][2]int64{{0, n}, {0, 1}, {n - 1, 1}, {70_000, 20_000}} {
		if err := d.Check(r[0], r[1]); err != nil {
			t.Errorf("Check of %d bytes at %d that the storage itself wrote: %v", r[1], r[0], err)
		}
	}
}

// testChangeByOthers checks that a storage in the file system detects that another program
// has removed its data.
func testChangeByOthers(t *testing.T, open Open) {
	s, d, data := optional[storage.ChangeDetector](t, open)
	at, ok := storage.As[storage.FileSystemPath](s)
	if !ok {
		t.Skip("the storage is not in the file system")
	}
	if err := errors.Join(s.Sync(), d.Accept()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(at.Path()); err != nil {
		t.Skip(err) // some systems refuse to remove a file that is open
	}
	if err := d.Check(0, int64(len(data))); !errors.Is(err, storage.ErrMissing) && !errors.Is(err, storage.ErrChanged) {
		t.Errorf("the data was removed: %v, want ErrMissing or ErrChanged", err)
	}
}

// testDataFinder checks that written data is found, and that ranges without data read as
// zeros.
func testDataFinder(t *testing.T, open Open) {
	const n, at = 3 << 20, 2 << 20
	s := open(t, n)
	defer s.Close()
	d, ok := storage.As[storage.DataFinder](s)
	if !ok {
		t.Skip("the storage does not implement DataFinder")
	}
	write(t, s, []byte{1, 2, 3}, at)
	if !d.HasData(at+1, 1) || !d.HasData(0, n) {
		t.Error("written data is not found")
	}
	for off := int64(0); off < n; off += 100_000 {
		next := d.NextData(off)
		if next < off || next > n || off <= at && next > at {
			t.Errorf("next data from %d is at %d; written at %d", off, next, at)
		}
		if d.HasData(off, next-off) {
			t.Errorf("HasData reports data in the %d bytes from %d, but NextData none", next-off, off)
		}
		p := make([]byte, min(next, n)-off)
		got, err := s.ReadAt(p, off)
		if err != nil && !errors.Is(err, storage.ErrMissing) || len(bytes.Trim(p[:got], "\x00")) > 0 {
			t.Errorf("the %d bytes without data from %d are not zeros: %v", next-off, off, err)
		}
	}
	if next := d.NextData(n); next != n {
		t.Errorf("next data from the end is at %d, want %d", next, n)
	}
}

// testPreparer checks that Prepare and Finish leave the data as it is.
func testPreparer(t *testing.T, open Open) {
	s, p, data := optional[storage.Preparer](t, open)
	if err := errors.Join(p.Prepare(), p.Finish(), p.Prepare()); err != nil {
		t.Errorf("Prepare, Finish, Prepare: %v", err)
	}
	holds(t, s, data)
}

// testFileSelector checks that the data of the first file remains readable and writable
// when the file becomes unwanted and wanted again.
func testFileSelector(t *testing.T, open Open) {
	s, f, data := optional[storage.FileSelector](t, open)
	for i, wanted := range []bool{false, true} {
		if err := f.SetWanted(0, wanted); err != nil {
			t.Fatal(err)
		}
		holds(t, s, data)
		data[10] = byte(i)
		write(t, s, data[:100], 0)
		holds(t, s, data)
	}
}

// testMover checks that the data is complete after a move, and that a move which fails
// changes nothing.
func testMover(t *testing.T, open Open) {
	s, m, data := optional[storage.Mover](t, open)
	dir := t.TempDir()
	if err := m.MoveTo(t.Context(), filepath.Join(dir, "missing"), ""); err == nil {
		t.Error("moved to a directory that does not exist")
	}
	holds(t, s, data)
	if err := m.MoveTo(t.Context(), dir, "renamed"); err != nil {
		t.Fatal(err)
	}
	holds(t, s, data)
	data[0]++
	write(t, s, data[:1], 0)
	holds(t, s, data)
	if at, ok := storage.As[storage.FileSystemPath](s); ok && at.Path() != filepath.Join(dir, "renamed") {
		t.Errorf("moved to %s, want %s", at.Path(), filepath.Join(dir, "renamed"))
	}
}

// testRemover checks that Remove closes the storage, and that nothing remains in the file
// system.
func testRemover(t *testing.T, open Open) {
	s, r, _ := optional[storage.Remover](t, open)
	if err := r.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadAt(make([]byte, 1), 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after Remove: %v, want os.ErrClosed", err)
	}
	if at, ok := storage.As[storage.FileSystemPath](s); ok {
		if _, err := os.Lstat(at.Path()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Lstat of %s after Remove returned %v, want os.ErrNotExist", at.Path(), err)
		}
	}
}
