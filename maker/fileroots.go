package maker

import (
	"context"
	"io"

	"spate/internal/hashing"
	"spate/merkle"
)

// rootRead is the number of bytes that are read and hashed at once for the root of a file.
const rootRead = 1 << 20

// checkRoots checks files of a v1 torrent by their pieces roots in its v2 hashes: those whose only
// faults are in pieces that they share with other files. The fault may be that of the other file.
// checkRoots records the files that are good.
func (v *verification) checkRoots(ctx context.Context) error {
	if v.m.V2Hashes == nil {
		return nil
	}
	buf := make([]byte, rootRead)
	for k := range v.index {
		if !v.doubtful(k) {
			continue
		}
		root, err := v.rootOf(ctx, k, buf)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && root == *v.m.FileRoot(int(v.index[k])):
			v.rooted[k] = true
		}
	}
	return nil
}

// doubtful reports whether file k can be good although a piece of it is not: it is complete, and all
// pieces that are not good contain data of other files too.
func (v *verification) doubtful(k int) bool {
	e := v.layout.extents[k]
	if v.absent[k] != nil || v.failed[k] != nil || v.sizes[k] < e.size {
		return false
	}
	doubt := false
	for p := e.off / v.layout.pieceLen; p*v.layout.pieceLen < e.end(); p++ {
		if v.states[p] == pieceGood {
			continue
		}
		if p*v.layout.pieceLen >= e.off && min((p+1)*v.layout.pieceLen, v.layout.total) <= e.end() {
			return false
		}
		doubt = true
	}
	return doubt
}

// rootOf reads file k and returns its pieces root (BEP 52). It ignores bytes after the end that the
// torrent gives the file.
func (v *verification) rootOf(ctx context.Context, k int, buf []byte) (root [merkle.HashSize]byte, err error) {
	f, err := v.from.open(v.at(k).rel)
	if err != nil {
		return root, err
	}
	defer f.close()
	f.sequential()
	return fileRoot(ctx, f.readFull, v.layout.extents[k].size, buf)
}

// FileRoot returns the pieces root (BEP 52) of a file of size bytes, which it reads from r. It returns
// io.ErrUnexpectedEOF if r has less, and ignores what r has after that.
func FileRoot(ctx context.Context, r io.ReaderAt, size int64) (root [merkle.HashSize]byte, err error) {
	read := func(p []byte, off int64) (int, error) {
		n, err := r.ReadAt(p, off)
		switch {
		case n == len(p):
			return n, nil
		case err == io.EOF:
			return n, io.ErrUnexpectedEOF
		}
		return n, err
	}
	return fileRoot(ctx, read, size, make([]byte, rootRead))
}

// fileRoot returns the pieces root of a file of size bytes. read fills a slice with the bytes from an
// offset, or returns an error. buf has rootRead bytes.
func fileRoot(ctx context.Context, read func(p []byte, off int64) (int, error), size int64, buf []byte) (root [merkle.HashSize]byte, err error) {
	tree := merkle.NewBuilder(0)
	var blocks [][]byte
	hashes := make([][merkle.HashSize]byte, rootRead/merkle.BlockSize)
	for at := int64(0); at < size; at += rootRead {
		if err := ctx.Err(); err != nil {
			return root, err
		}
		part := buf[:min(rootRead, size-at)]
		if _, err := read(part, at); err != nil {
			return root, err
		}
		blocks = blocks[:0]
		for from := 0; from < len(part); from += merkle.BlockSize {
			blocks = append(blocks, part[from:min(from+merkle.BlockSize, len(part))])
		}
		hashing.SumSHA256(hashes[:len(blocks)], blocks)
		tree.AddAll(hashes[:len(blocks)])
	}
	return tree.Root(), nil
}
