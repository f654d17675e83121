package storage

import (
	"errors"
	"fmt"
	"testing"
)

// TestNextData checks that NextData skips holes, missing files and padding, and agrees
// with HasData.
func TestNextData(t *testing.T) {
	t.Parallel()
	const hole = 1 << 20
	l, err := NewLayout([]File{
		{Path: "t/a", Length: 3 * hole, Offset: 0},
		{Path: "t/pad", Length: hole, Offset: 3 * hole, Pad: true},
		{Path: "t/gone", Length: hole, Offset: 4 * hole},
		{Path: "t/b", Length: 2 * hole, Offset: 5 * hole},
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenLayout(t.TempDir(), l, NewPool(0), DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if at := d.NextData(0); at != l.Len() {
		t.Errorf("NextData reports data at %d although all files are missing", at)
	}
	for _, off := range []int64{2 * hole, 6 * hole} {
		if _, err := d.WriteAt(make([]byte, 4096), off); err != nil {
			t.Fatal(err)
		}
	}
	const step = 64 << 10
	for off := int64(0); off < l.Len(); off += step {
		next := d.NextData(off)
		if next < off {
			t.Fatalf("NextData(%d) returned %d, which is before the offset", off, next)
		}
		if has := d.HasData(off, step); has != (next < off+step) {
			t.Errorf("%d bytes from %d HasData is %v, and the next data is at %d", step, off, has, next)
		}
	}
	if d.HasData(0, 2*hole) && d.NextData(0) != 0 {
		t.Error("there is a hole, but this system cannot find holes")
	}
}

// TestMissingDirectories checks that the search for data and the states of files are the same
// whether the directories of files are missing, and that unwanted files in them are found in
// the parts file.
func TestMissingDirectories(t *testing.T) {
	t.Parallel()
	const dirs, each, size = 4, 3, 16 << 10
	var files []File
	skip := make([]bool, dirs*each)
	for i := range skip {
		skip[i] = i%each == 1
		files = append(files, File{Path: fmt.Sprintf("t/%d/%d", i/each, i), Length: size, Offset: int64(i) * size})
	}
	for written := range files {
		l, err := NewLayout(files)
		if err != nil {
			t.Fatal(err)
		}
		d, err := OpenLayout(t.TempDir(), l, NewPool(0), DirOptions{Skip: skip})
		if err != nil {
			t.Fatal(err)
		}
		if at := d.NextData(0); at != l.Len() {
			t.Errorf("NextData reports data at %d although all files are missing", at)
		}
		at := int64(written) * size
		if _, err := d.WriteAt(make([]byte, size), at); err != nil {
			t.Fatal(err)
		}
		if next := d.NextData(0); next > at || !skip[written] && next != at {
			t.Errorf("NextData returned %d, want %d", next, at)
		}
		if !d.HasData(at, size) {
			t.Errorf("file %d has no data", written)
		}
		stats, err := d.Stats()
		if err != nil {
			t.Fatal(err)
		}
		for i, st := range stats {
			if want := i == written || skip[i] && skip[written]; st.Exists != want {
				t.Errorf("file %d was written: Stats says that file %d exists: %v, want %v", written, i, st.Exists, want)
			}
		}
		if err := errors.Join(d.Accept(), d.Check(0, l.Len()), d.Close()); err != nil {
			t.Error(err)
		}
	}
}
