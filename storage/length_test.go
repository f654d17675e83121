package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestLengthIsExact checks that Sync, Check, a write that opens the file again, and Finish
// report a file that another program has cut or made longer, whether or not it was synced.
// After Accept the file gets exactly its length.
func TestLengthIsExact(t *testing.T) {
	t.Parallel()
	write := func(d *Dir) error { _, err := d.WriteAt([]byte{1}, 0); return err }
	for _, synced := range []bool{false, true} {
		for _, size := range []int64{0, 1, 99, 101, 5000} {
			for _, c := range []struct {
				name  string
				notes func(d *Dir) error
			}{
				{"write", write},
				{"Check", func(d *Dir) error { return d.Check(0, 10) }},
				{"Sync", func(d *Dir) error { return errors.Join(write(d), d.Sync()) }},
				{"Finish", func(d *Dir) error { return d.Finish() }},
				{"open", func(d *Dir) error { d.pool.Close(); return write(d) }},
			} {
				t.Run(fmt.Sprintf("%s synced=%v size=%d", c.name, synced, size), func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					d := openSample(t, dir, DirOptions{})
					fill(t, d)
					if synced {
						if err := d.Sync(); err != nil {
							t.Fatal(err)
						}
					}
					path := filepath.Join(dir, "t/a")
					if err := os.Truncate(path, size); err != nil {
						t.Fatal(err)
					}
					wantReason(t, c.name, c.notes(d), ErrChanged)
					if err := errors.Join(d.Accept(), write(d), d.Sync(), d.Finish(), d.Check(0, 10)); err != nil {
						t.Errorf("after Accept: %v", err)
					}
					if fi, err := os.Stat(path); err != nil || fi.Size() != 100 {
						t.Errorf("the file has %d bytes, %v, want 100", fi.Size(), err)
					}
				})
			}
		}
	}
}

// TestFinishMakesLengthsExact checks that Finish cuts with Force, and otherwise keeps, a file
// that was longer before any write, and that it creates files without data.
func TestFinishMakesLengthsExact(t *testing.T) {
	t.Parallel()
	for _, force := range []bool{false, true} {
		dir := t.TempDir()
		mustWrite(t, filepath.Join(dir, "t/a"), string(make([]byte, 101)))
		d := openSample(t, dir, DirOptions{Force: force})
		err := d.Finish()
		want := int64(101)
		if force {
			want = 100
			if err != nil {
				t.Error(err)
			}
		} else {
			wantReason(t, "Finish", err, ErrLonger)
		}
		if fi, err := os.Stat(filepath.Join(dir, "t/a")); err != nil || fi.Size() != want {
			t.Errorf("force %v: the file has %d bytes, %v, want %d", force, fi.Size(), err, want)
		}
		if fi, err := os.Stat(filepath.Join(dir, "t/empty")); err != nil || fi.Size() != 0 {
			t.Errorf("the empty file: %v", err)
		}
	}
}

// TestRecordStatsAreExpected checks that a record contains the state that the last Sync found,
// and not a later change by another program.
func TestRecordStatsAreExpected(t *testing.T) {
	t.Parallel()
	d, dir := openSynced(t)
	before, err := d.RecordStats()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "t/a"), 7); err != nil {
		t.Fatal(err)
	}
	after, err := d.RecordStats()
	if err != nil || after[0] != before[0] || after[0].Size != 100 {
		t.Errorf("RecordStats returned %+v, %v, want %+v", after[0], err, before[0])
	}
}
