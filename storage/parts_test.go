package storage

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestSkip checks that the data of an unwanted file is stored and found again, and is moved
// into the file when the file becomes wanted.
func TestSkip(t *testing.T) {
	dir := t.TempDir()
	opts := DirOptions{Skip: []bool{false, false, true}} // t/d/b
	d := openSample(t, dir, opts)
	if err := d.Prepare(); err != nil {
		t.Fatal(err)
	}
	if d.HasData(128, 1000) {
		t.Error("HasData reports data in an unwanted file that does not exist")
	}
	_, err := d.ReadAt(make([]byte, 10), 128)
	wantReason(t, "read", err, ErrMissing)
	want := bytes.Repeat([]byte{9}, 22)
	if _, err := d.WriteAt(bytes.Repeat([]byte{9}, 50), 100); err != nil { // 28 bytes of padding, 22 bytes of the file
		t.Fatal(err)
	}
	if got := tree(t, dir); got != ".t.parts t t/empty" {
		t.Errorf("there are the entries %s, want the parts file and the empty file", got)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	stats, err := d.Stats()
	if err != nil || !stats[2].Exists || stats[0].Exists {
		t.Errorf("Stats returned %+v, %v, want the state of the parts file for the unwanted file", stats, err)
	}
	d.Close()

	d = openSample(t, dir, opts)
	p := make([]byte, 22)
	if n, err := d.ReadAt(p, 128); n != 22 || err != nil || !bytes.Equal(p, want) {
		t.Errorf("ReadAt returned %d, %v and %v, want the data of the unwanted file", n, err, p)
	}
	if !d.HasData(128, 10) {
		t.Error("HasData reports no data where data was written")
	}
	if err := errors.Join(d.Accept(), d.Check(0, 2000)); err != nil {
		t.Errorf("Accept and Check: %v", err)
	}
	if err := d.SetWanted(2, true); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "t/d/b")); err != nil || len(b) != 1000 || !bytes.Equal(b[:22], want) {
		t.Errorf("the wanted file has %d bytes, %v, want 1000 that start with the stored data", len(b), err)
	}
	if n, err := d.ReadAt(p, 128); n != 22 || err != nil || !bytes.Equal(p, want) {
		t.Errorf("ReadAt of the wanted file returned %d, %v and %v, want the same data", n, err, p)
	}
	if err := errors.Join(d.Sync(), d.DropParts(), d.DropParts(), d.Check(0, 2000)); err != nil {
		t.Errorf("Sync, DropParts and Check: %v", err)
	}
	if got := tree(t, dir); got != "t t/d t/d/b t/empty" {
		t.Errorf("there are the entries %s, want no parts file", got)
	}
	// When the file becomes unwanted again, the existing file is still used.
	if err := d.SetWanted(2, false); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt([]byte{5}, 1000); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "t/d/b")); err != nil || b[1000-128] != 5 {
		t.Errorf("the file was not written: %v", err)
	}
}

// TestSetWantedWhileWriting checks that a file can become wanted while it is read and
// written.
func TestSetWantedWhileWriting(t *testing.T) {
	d := openSample(t, t.TempDir(), DirOptions{Skip: []bool{false, false, true}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 {
			p := []byte{byte(i)}
			off := 128 + int64(i)
			if _, err := d.WriteAt(p, off); err != nil {
				t.Errorf("WriteAt: %v", err)
			}
			if _, err := d.ReadAt(p, off); err != nil || p[0] != byte(i) {
				t.Errorf("byte %d reads as %v, %v, want its own number", i, p, err)
			}
		}
	}()
	if err := d.SetWanted(2, true); err != nil {
		t.Errorf("SetWanted: %v", err)
	}
	<-done
	p := make([]byte, 1000)
	if _, err := d.ReadAt(p, 128); err != nil {
		t.Fatal(err)
	}
	for i, c := range p {
		if c != byte(i) {
			t.Fatalf("byte %d was lost", i)
		}
	}
}

// TestSkipAgain checks that data written while a file was wanted is kept when the
// file becomes unwanted and wanted again.
func TestSkipAgain(t *testing.T) {
	d := openSample(t, t.TempDir(), DirOptions{Skip: []bool{false, false, true}}) // t/d/b
	defer d.Close()
	write := func(b byte, n int, off int64) {
		t.Helper()
		if _, err := d.WriteAt(bytes.Repeat([]byte{b}, n), off); err != nil {
			t.Fatal(err)
		}
	}
	want := func(wanted bool) {
		t.Helper()
		if err := d.SetWanted(2, wanted); err != nil {
			t.Fatal(err)
		}
	}
	write(1, 10, 128)
	want(true)
	write(2, 10, 500) // where the parts file has a hole
	want(false)
	write(3, 10, 700)
	want(true)
	for off, b := range map[int64]byte{128: 1, 500: 2, 700: 3} {
		p := make([]byte, 10)
		if _, err := d.ReadAt(p, off); err != nil || !bytes.Equal(p, bytes.Repeat([]byte{b}, 10)) {
			t.Errorf("the byte at %d reads as %v, %v, want %d", off, p, err, b)
		}
	}
}
