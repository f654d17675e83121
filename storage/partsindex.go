package storage

import (
	"encoding/binary"
	"errors"
	"sync"
)

// The parts file begins with a header of 4 KiB, which starts with partsMagic. Groups follow it.
// A group is an index of 4 KiB and 512 slots of 16 KiB. A slot holds 16 KiB of the byte space,
// from an offset that is a multiple of 16 KiB, and is used up in order, so that the file is
// only as large as its content: some file systems have no sparse files, or limit the length of
// a file. The index of a group has an entry of 8 bytes for each slot: the number of these
// 16 KiB in the byte space plus one, or 0 if the slot is free.
//
// An entry is written after the data of its slot. If the machine crashes before a Sync, data or
// entries can be lost, but then no record lists the pieces.
//
// The parts file of an old version of spate has no header: all bytes are at their offset in the
// byte space. It is used as it is.
const (
	partsMagic    = "spate parts 1\n"
	partsPage     = 4 << 10 // length of the header, and of the index of a group
	partsSlot     = 16 << 10
	slotsPerGroup = partsPage / partsEntry
	partsEntry    = 8
	partsGroup    = partsPage + slotsPerGroup*partsSlot
)

// slotOffset returns the offset of a slot in the parts file.
func slotOffset(slot int64) int64 {
	return 2*partsPage + slot/slotsPerGroup*partsGroup + slot%slotsPerGroup*partsSlot
}

// entryOffset returns the offset of the entry of a slot in the parts file.
func entryOffset(slot int64) int64 {
	return partsPage + slot/slotsPerGroup*partsGroup + slot%slotsPerGroup*partsEntry
}

// partsIndex is the content of the indexes of a parts file. The zero value is one that was not
// read.
type partsIndex struct {
	mu     sync.Mutex // held while the parts file is written
	loaded bool
	old    bool            // the file is of an old version: a byte is at its offset in the byte space
	slots  map[int64]int64 // slot of each 16 KiB of the byte space, by their number
	next   int64           // the first slot that was never used
}

// forget makes the next use read the parts file again.
func (x *partsIndex) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loaded, x.old, x.slots, x.next = false, false, nil, 0
}

// loadPartsLocked reads the indexes of the parts file. With create it creates a file that does
// not exist. The caller holds index.mu.
func (d *Dir) loadPartsLocked(create bool) error {
	x, n := &d.index, len(d.layout.files)
	if x.loaded {
		return nil
	}
	h, err := d.acquire(n, create)
	if err != nil {
		return err
	}
	defer h.release()
	fi, err := h.file.Stat()
	if err != nil {
		return d.fail("read", n, classify(err, false), err)
	}
	page := make([]byte, partsPage)
	if fi.Size() == 0 {
		if !create {
			return d.fail("read", n, ErrMissing, errors.New("it is empty"))
		}
		copy(page, partsMagic)
		if _, err := d.writeReal(n, page, 0); err != nil {
			return err
		}
		// A file with other data but without a header would be taken for an old one.
		if err := h.file.Sync(); err != nil {
			return d.fail("sync", n, classify(err, true), err)
		}
	} else if err := d.readPartsPage(h, page, 0); err != nil {
		return err
	}
	x.slots, x.next = map[int64]int64{}, 0
	x.old = string(page[:len(partsMagic)]) != partsMagic
	for first := int64(0); !x.old && entryOffset(first) < fi.Size(); first += slotsPerGroup {
		if err := d.readPartsPage(h, page, entryOffset(first)); err != nil {
			return err
		}
		for i := range int64(slotsPerGroup) {
			if unit := binary.BigEndian.Uint64(page[i*partsEntry:]); unit > 0 && unit <= uint64(d.layout.total/partsSlot+1) {
				x.slots[int64(unit-1)] = first + i
				x.next = first + i + 1
			}
		}
	}
	x.loaded = true
	return nil
}

// readPartsPage reads a page of the parts file. Bytes after the end of the file are zeros.
func (d *Dir) readPartsPage(h *handle, page []byte, off int64) error {
	clear(page)
	if _, err := h.file.ReadAt(page, off); err != nil && !isEOF(err) {
		return d.fail("read", len(d.layout.files), classify(err, false), err)
	}
	return nil
}

// partsRun returns where the bytes from offset off of the byte space are in the parts file, and
// how many of the n bytes follow each other there. If the first of them are not in the file,
// found is false and run is their number. The caller holds index.mu and has read the index.
func (x *partsIndex) partsRun(off, n int64) (at, run int64, found bool) {
	if x.old {
		return off, n, true
	}
	slot, found := x.slots[off/partsSlot]
	run = partsSlot - off%partsSlot
	for last := slot; run < n; run += partsSlot {
		next, ok := x.slots[(off+run)/partsSlot]
		if ok != found || found && (next != last+1 || next%slotsPerGroup == 0) {
			break
		}
		last = next
	}
	return slotOffset(slot) + off%partsSlot, min(run, n), found
}

// readParts reads bytes of the byte space from the parts file.
func (d *Dir) readParts(p []byte, off int64) (int, error) {
	n := len(d.layout.files)
	for done := 0; done < len(p); {
		d.index.mu.Lock()
		err := d.loadPartsLocked(false)
		at, run, found := d.index.partsRun(off+int64(done), int64(len(p)-done))
		d.index.mu.Unlock()
		if err == nil && !found {
			err = d.fail("read", n, ErrMissing, errors.New("it does not hold this data"))
		}
		if err != nil {
			return done, err
		}
		k, err := d.readReal(n, p[done:done+int(run)], at)
		done += k
		if err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// writeParts writes bytes of the byte space to the parts file.
func (d *Dir) writeParts(p []byte, off int64) (int, error) {
	x, n := &d.index, len(d.layout.files)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := d.loadPartsLocked(true); err != nil {
		return 0, err
	}
	for done := 0; done < len(p); {
		at, run, found := x.partsRun(off+int64(done), int64(len(p)-done))
		part := p[done : done+int(run)]
		var k int
		var err error
		if found {
			k, err = d.writeReal(n, part, at)
		} else {
			k, err = d.addParts(part, off+int64(done))
		}
		done += k
		if err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// addParts writes bytes of the byte space to new slots, at most to those that are left in a
// group. The caller holds index.mu.
func (d *Dir) addParts(p []byte, off int64) (int, error) {
	x, n := &d.index, len(d.layout.files)
	first, begin := x.next, off%partsSlot
	count := min((begin+int64(len(p))+partsSlot-1)/partsSlot, slotsPerGroup-first%slotsPerGroup)
	size := min(int64(len(p)), count*partsSlot-begin)
	// A slot is always written as a whole, so that it can be read as a whole.
	var zeros [partsSlot]byte
	if begin > 0 {
		if _, err := d.writeReal(n, zeros[:begin], slotOffset(first)); err != nil {
			return 0, err
		}
	}
	if _, err := d.writeReal(n, p[:size], slotOffset(first)+begin); err != nil {
		return 0, err
	}
	if rest := count*partsSlot - begin - size; rest > 0 {
		if _, err := d.writeReal(n, zeros[:rest], slotOffset(first)+begin+size); err != nil {
			return 0, err
		}
	}
	entries := make([]byte, 0, count*partsEntry)
	for i := range count {
		entries = binary.BigEndian.AppendUint64(entries, uint64(off/partsSlot+i)+1)
	}
	if _, err := d.writeReal(n, entries, entryOffset(first)); err != nil {
		return 0, err
	}
	for i := range count {
		x.slots[off/partsSlot+i] = first + i
	}
	x.next += count
	return int(size), nil
}

// nextParts returns the offset of the first of n bytes of the byte space from off that the parts
// file holds, and whether it holds any.
func (d *Dir) nextParts(off, n int64) (at int64, ok bool, err error) {
	d.index.mu.Lock()
	defer d.index.mu.Unlock()
	if err := d.loadPartsLocked(false); err != nil {
		return off, false, err
	}
	if d.index.old {
		h, err := d.acquire(len(d.layout.files), false)
		if err != nil {
			return off, false, err
		}
		defer h.release()
		at, ok = nextData(h.file, off)
		return at, ok && at < off+n, nil
	}
	first, last := off/partsSlot, (off+n-1)/partsSlot
	if last-first < int64(len(d.index.slots)) {
		for unit := first; unit <= last; unit++ {
			if _, ok := d.index.slots[unit]; ok {
				return max(off, unit*partsSlot), true, nil
			}
		}
		return off, false, nil
	}
	next := last + 1
	for unit := range d.index.slots {
		if unit >= first {
			next = min(next, unit)
		}
	}
	return max(off, next*partsSlot), next <= last, nil
}
