package hashing

import (
	"crypto/sha1"
	"encoding/binary"
	"hash"
)

// SHA1 is a SHA-1 digest in progress. Reset must be called before the first use. It is
// not safe for concurrent use.
type SHA1 struct {
	h    [5]uint32
	buf  [blockSize]byte // the bytes of an incomplete block
	fill int             // number of bytes in buf
	n    uint64          // number of bytes written
	std  hash.Hash       // replaces the fields above if there are no kernels
}

var zeroBlocks [64 << 10]byte

// Reset starts a new message.
func (d *SHA1) Reset() {
	if !useSHA {
		if d.std == nil {
			d.std = sha1.New()
		}
		d.std.Reset()
		return
	}
	d.h = [5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}
	d.fill, d.n = 0, 0
}

// Sum ends the message and returns its digest. Reset must be called before d is used
// again.
func (d *SHA1) Sum() (sum [SizeSHA1]byte) {
	if !useSHA {
		d.std.Sum(sum[:0])
		return sum
	}
	// The padding of FIPS 180-4: a one bit, zeros, and the length in bits.
	bits := d.n * 8
	d.buf[d.fill] = 0x80
	clear(d.buf[d.fill+1:])
	if d.fill+1+8 > blockSize {
		sha1Blocks(&d.h, &d.buf[0], 1)
		clear(d.buf[:])
	}
	binary.BigEndian.PutUint64(d.buf[blockSize-8:], bits)
	sha1Blocks(&d.h, &d.buf[0], 1)
	for i, v := range d.h {
		binary.BigEndian.PutUint32(sum[4*i:], v)
	}
	return sum
}

// fillBlock adds the start of p to the incomplete block, if there is one, and returns
// the rest of p. The rest is empty unless the block was completed.
func (d *SHA1) fillBlock(p []byte) []byte {
	d.n += uint64(len(p))
	if d.fill == 0 {
		return p
	}
	n := copy(d.buf[d.fill:], p)
	d.fill += n
	if d.fill == blockSize {
		sha1Blocks(&d.h, &d.buf[0], 1)
		d.fill = 0
	}
	return p[n:]
}

// bufferTail stores the end of a write, which is shorter than a block, in the block
// buffer.
func (d *SHA1) bufferTail(p []byte) {
	if len(p) > 0 {
		d.fill = copy(d.buf[:], p)
	}
}

// WriteSHA1 appends ps[i] to ds[i] for every i. Both slices must have the same
// length, and all digests must be different.
func WriteSHA1(ds []*SHA1, ps [][]byte) {
	if !useSHA {
		for i, d := range ds {
			d.std.Write(ps[i])
		}
		return
	}
	if useAVX512 && len(ds) >= minRunsData {
		runs := make([]run, 0, len(ds))
		for i := range ds {
			if r := ds[i].write(ps[i]); r.n > 0 {
				runs = append(runs, r)
			}
		}
		hashData(runs)
		return
	}
	var q pairQueue
	for i := range ds {
		q.write(ds[i].write(ps[i]))
	}
	q.flush()
}

// write appends p except for its complete blocks. It returns those, and the caller must
// hash them before it writes anything else to d.
func (d *SHA1) write(p []byte) run {
	p = d.fillBlock(p)
	n := len(p) / blockSize
	d.bufferTail(p[n*blockSize:])
	return run{&d.h, p[:n*blockSize], n}
}

// ZerosSHA1 appends ns[i] zero bytes to ds[i] for every i.
func ZerosSHA1(ds []*SHA1, ns []int64) {
	if !useSHA {
		for i, d := range ds {
			for n := ns[i]; n > 0; n -= int64(len(zeroBlocks)) {
				d.std.Write(zeroBlocks[:min(n, int64(len(zeroBlocks)))])
			}
		}
		return
	}
	runs := make([]run, 0, len(ds))
	for i, d := range ds {
		n := ns[i]
		if first := min(n, int64(blockSize-d.fill)); d.fill > 0 {
			d.fillBlock(zeroBlocks[:first])
			n -= first
		}
		d.n += uint64(n)
		if n >= blockSize {
			runs = append(runs, run{&d.h, nil, int(n / blockSize)})
		}
		d.bufferTail(zeroBlocks[:n%blockSize])
	}
	hashZeros(runs, vectorZeros())
}
