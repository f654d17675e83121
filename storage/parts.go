package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"

	"spate/internal/atomicfile"
)

// The parts file is a hidden file beside the torrent. It stores the bytes of unwanted files
// (partsindex.go). Pieces that contain bytes of both wanted and unwanted files need it to be
// stored, checked again and served.

// partsName returns the name of the parts file of a torrent whose file or directory is top.
func partsName(top string) string { return atomicfile.HiddenName(top, ".parts") }

// formerPartsName returns the name that spate 0.1 gave to the parts file.
func formerPartsName(top string) string {
	if len(top) > 130 {
		sum := sha256.Sum256([]byte(top))
		top = hex.EncodeToString(sum[:16])
	}
	return "." + top + ".parts"
}

// findParts finds the parts file of a download that an earlier release began.
func (d *Dir) findParts() {
	at := d.location.Load()
	former := formerPartsName(at.top)
	if former == at.parts {
		return
	}
	_ = d.withRoot("open", func(root *os.Root) error {
		if _, err := root.Lstat(at.parts); !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if info, err := root.Lstat(former); err == nil && info.Mode().IsRegular() {
			found := *at
			found.parts = former
			d.location.Store(&found)
		}
		return nil
	})
}

// readSkipped reads from unwanted file i. It uses the file if it exists, otherwise the
// parts file.
func (d *Dir) readSkipped(i int, p []byte, off int64) (int, error) {
	d.parts.RLock()
	defer d.parts.RUnlock()
	n, err := d.readReal(i, p, off)
	if n == 0 && d.skip.has(i) && errors.Is(err, ErrMissing) {
		return d.readParts(p, d.layout.files[i].Offset+off)
	}
	return n, err
}

// writeSkipped writes to unwanted file i. It uses the file if it exists, otherwise the
// parts file.
func (d *Dir) writeSkipped(i int, p []byte, off int64) (int, error) {
	d.parts.RLock()
	defer d.parts.RUnlock()
	n, err := d.writeReal(i, p, off)
	if n == 0 && d.skip.has(i) && (errors.Is(err, ErrMissing) || errors.Is(err, ErrName)) {
		return d.writeParts(p, d.layout.files[i].Offset+off)
	}
	return n, err
}

// Wanted reports whether file i is wanted.
func (d *Dir) Wanted(i int) bool { return !d.skip.has(i) }

// SetWanted implements [FileSelector]: it changes whether file i is wanted. When the file
// becomes wanted, SetWanted copies its data from the parts file to the file. When the file
// becomes unwanted, it stays. Reads and writes of the file wait meanwhile.
func (d *Dir) SetWanted(i int, wanted bool) error {
	switch {
	case !wanted:
		d.skip.set(i)
		return nil
	case !d.skip.has(i):
		return nil
	case !d.stored(i):
		d.skip.clear(i)
		return nil
	}
	d.parts.Lock()
	defer d.parts.Unlock()
	// Drop the expected state, which is that of the parts file.
	st := d.file(i)
	st.slot.mu.Lock()
	st.expected, st.hasExpected = FileStat{}, false
	st.slot.mu.Unlock()
	// If the file exists, all its data was written to it, and the parts file contains older
	// data.
	there, err := d.exists(i)
	if err != nil {
		return err
	}
	if !there {
		d.creating.set(i)
		defer d.creating.clear(i)
		if err := d.copyFromParts(i); err != nil {
			return err
		}
	}
	d.skip.clear(i)
	return nil
}

// exists reports whether file i itself exists.
func (d *Dir) exists(i int) (there bool, err error) {
	err = d.withRoot("open", func(root *os.Root) error {
		_, err := root.Lstat(d.name(i))
		there = err == nil
		if there || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return d.fail("open", i, classify(err, true), err)
	})
	return there, err
}

// copyFromParts copies the data of file i from the parts file to the file. The parts
// file keeps its copy until DropParts.
func (d *Dir) copyFromParts(i int) error {
	f := &d.layout.files[i]
	buf := make([]byte, 256<<10)
	for off, end := f.Offset, f.Offset+f.Length; off < end; {
		at, ok, err := d.nextParts(off, end-off)
		if errors.Is(err, ErrMissing) || err == nil && !ok {
			return nil
		}
		n := 0
		if err == nil {
			n, err = d.readParts(buf[:min(end-at, int64(len(buf)))], at)
		}
		if n == 0 && errors.Is(err, ErrMissing) {
			return nil // the end of a file of an old version
		}
		if n == 0 {
			return err
		}
		if _, err := d.writeReal(i, buf[:n], at-f.Offset); err != nil {
			return err
		}
		off = at + int64(n)
	}
	return nil
}

// DropParts deletes the parts file. Pieces that contain bytes of unwanted files cannot
// be served or checked afterwards.
func (d *Dir) DropParts() error {
	if d.opts.ReadOnly {
		return nil
	}
	d.parts.Lock()
	defer d.parts.Unlock()
	defer d.index.forget() // its lock is locked before that of a slot
	i := len(d.layout.files)
	st := d.file(i)
	st.slot.mu.Lock()
	defer st.slot.mu.Unlock()
	st.slot.dropLocked()
	st.expected, st.hasExpected = FileStat{}, false
	return d.withRoot("remove", func(root *os.Root) error {
		if err := root.Remove(d.name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d.fail("remove", i, classify(err, true), err)
		}
		return nil
	})
}
