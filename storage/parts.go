package storage

import (
	"errors"
	"io/fs"
	"os"
)

// The parts are one sparse file beside the torrent, named after it, in which
// bytes of files that are not wanted lie at their offset in the byte space: the
// ends of pieces that begin in a file that is wanted, or the reverse. Without
// them such pieces could not be kept, checked again or served.

// readSkipped reads from file i, which is not wanted: from the file if it is
// there all the same, else from the parts.
func (d *Dir) readSkipped(i int, p []byte, off int64) (int, error) {
	d.parts.RLock()
	defer d.parts.RUnlock()
	n, err := d.readReal(i, p, off)
	if n == 0 && d.files[i].skip.Load() && errors.Is(err, ErrMissing) {
		return d.readReal(len(d.layout.files), p, d.layout.files[i].Offset+off)
	}
	return n, err
}

// writeSkipped writes to file i, which is not wanted: to the file if it is there
// all the same, else to the parts.
func (d *Dir) writeSkipped(i int, p []byte, off int64) (int, error) {
	d.parts.RLock()
	defer d.parts.RUnlock()
	n, err := d.writeReal(i, p, off)
	if n == 0 && d.files[i].skip.Load() && errors.Is(err, ErrMissing) {
		return d.writeReal(len(d.layout.files), p, d.layout.files[i].Offset+off)
	}
	return n, err
}

// Wanted reports whether file i is wanted.
func (d *Dir) Wanted(i int) bool { return !d.files[i].skip.Load() }

// SetWanted changes whether file i is wanted. What was kept of a file that was
// not wanted is moved into the file, which is created for it. A file that is not
// wanted any more stays where it is. Whoever reads or writes the file meanwhile
// waits.
func (d *Dir) SetWanted(i int, wanted bool) error {
	st := &d.files[i]
	if !wanted || !d.stored(i) {
		st.skip.Store(!wanted)
		return nil
	}
	if !st.skip.Load() {
		return nil
	}
	d.parts.Lock()
	defer d.parts.Unlock()
	// What was known of the file was known of the parts.
	st.slot.mu.Lock()
	st.base, st.known = FileStat{}, false
	st.slot.mu.Unlock()
	// A file that is there was written to all the time, and the parts hold what
	// was before that.
	there, err := d.exists(i)
	if err != nil {
		return err
	}
	if !there {
		st.making.Store(true)
		defer st.making.Store(false)
		if err := d.fetchParts(i); err != nil {
			return err
		}
	}
	st.skip.Store(false)
	return nil
}

// exists reports whether file i itself is there.
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

// fetchParts copies what the parts hold of file i into the file. The file is
// dirty until the next Sync; the parts keep their copy until DropParts.
func (d *Dir) fetchParts(i int) error {
	from := len(d.layout.files)
	h, err := d.acquire(from, false)
	if errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	file := h.file
	defer h.release()
	f := &d.layout.files[i]
	buf := make([]byte, 256<<10)
	for off, end := f.Offset, f.Offset+f.Length; off < end; {
		at, ok := nextData(file, off)
		if !ok || at >= end {
			return nil
		}
		n, err := file.ReadAt(buf[:min(end-at, int64(len(buf)))], at)
		if n == 0 {
			if err == nil || isEOF(err) {
				return nil
			}
			return d.fail("read", from, classify(err, false), err)
		}
		if _, err := d.writeReal(i, buf[:n], at-f.Offset); err != nil {
			return err
		}
		off = at + int64(n)
	}
	return nil
}

// DropParts removes what is kept of files that are not wanted. The pieces that
// lie in them cannot be served or checked again afterwards.
func (d *Dir) DropParts() error {
	if d.opts.ReadOnly {
		return nil
	}
	d.parts.Lock()
	defer d.parts.Unlock()
	i := len(d.layout.files)
	st := &d.files[i]
	st.slot.mu.Lock()
	defer st.slot.mu.Unlock()
	st.slot.dropLocked()
	st.base, st.known = FileStat{}, false
	return d.withRoot("remove", func(root *os.Root) error {
		if err := root.Remove(d.name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d.fail("remove", i, classify(err, true), err)
		}
		return nil
	})
}
