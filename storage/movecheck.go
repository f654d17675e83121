package storage

import (
	"context"
	"errors"
	"hash/maphash"
)

// copied records what was copied of the files of a move, so that the copies can be compared with it
// after they were synced.
type copied struct {
	seed  maphash.Seed
	parts []copiedPart
}

// copiedPart is a run of bytes that was copied. Every file is copied in its order.
type copiedPart struct {
	file int32
	n    int32 // in bytes
	off  int64 // in the file
	sum  uint64
}

// add records that b was written to a file at an offset.
func (c *copied) add(file int, off int64, b []byte) {
	c.parts = append(c.parts, copiedPart{int32(file), int32(len(b)), off, maphash.Bytes(c.seed, b)})
}

// errCopy is the cause of the error of a copy that differs from what was written.
var errCopy = errors.New("the copy differs from the file")

// check reads the copies in d again, from the disk where the system allows it, and returns an error if
// one is not what was written.
func (c *copied) check(ctx context.Context, d *Dir, buf []byte) error {
	last := -1
	for _, p := range c.parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		i := int(p.file)
		h, err := d.acquire(i, false)
		if err != nil {
			return err
		}
		if i != last {
			dropCache(h.file)
			last = i
		}
		n, err := h.file.ReadAt(buf[:p.n], p.off)
		h.release()
		if n < int(p.n) {
			return d.fail("read", i, classify(err, false), err)
		}
		if maphash.Bytes(c.seed, buf[:n]) != p.sum {
			return d.fail("move", i, ErrIO, errCopy)
		}
	}
	return nil
}
