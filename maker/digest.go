package maker

import (
	"context"

	"spate/internal/hashing"
	"spate/merkle"
)

// digests are the hashes that a worker has in progress: those of the batch, and
// those of earlier pieces that only want zeros to their end.
type digests struct {
	v1    []*hashing.SHA1   // by piece of the batch
	trees []*merkle.Builder // over the leaves so far, by piece of the batch

	free   []*hashing.SHA1
	padded []padded

	// Scratch, kept for its capacity.
	in     []*hashing.SHA1
	data   [][]byte
	leaves [][]byte
	hashes [][32]byte
	owner  []int // piece of the batch that a leaf belongs to
	ends   []*hashing.SHA1
	zeros  []int64
}

// padded is a piece whose data was hashed and that zeros are still to follow,
// as in the hybrid torrent of many small files. The zeros of many pieces go
// through lanes together, so that they are collected over batches.
type padded struct {
	piece piece
	sums  sums
	v1    *hashing.SHA1
}

const (
	// padGroup is how many pieces get their zeros together: a multiple of the
	// lanes, of which the last ones would go empty otherwise.
	padGroup = 128
	// zeroStep is how many zeros are hashed between looks at the context, over
	// all lanes: 10 to 40 ms.
	zeroStep = 64 << 20
)

// begin starts the digests of a batch of n pieces.
func (w *worker) begin(n int) {
	w.v1 = w.v1[:0]
	for range n {
		var d *hashing.SHA1
		if last := len(w.free) - 1; last >= 0 {
			d, w.free = w.free[last], w.free[:last]
		} else {
			d = new(hashing.SHA1)
		}
		d.Reset()
		w.v1 = append(w.v1, d)
	}
	for len(w.trees) < n {
		w.trees = append(w.trees, merkle.NewBuilder(0))
	}
	for _, t := range w.trees[:n] {
		t.Reset()
	}
}

// feed hashes the next bytes of each piece of the batch, all but those of pieces
// with an error. They are whole leaves but at the end of a piece.
func (w *worker) feed(parts [][]byte, errs []error) {
	w.in, w.data = w.in[:0], w.data[:0]
	w.leaves, w.owner = w.leaves[:0], w.owner[:0]
	n := 0
	for i, p := range parts {
		if errs[i] != nil || len(p) == 0 {
			continue
		}
		n += len(p)
		w.in, w.data = append(w.in, w.v1[i]), append(w.data, p)
		for len(p) > 0 && w.r.layout.v2 {
			leaf := p[:min(merkle.BlockSize, len(p))]
			p = p[len(leaf):]
			w.leaves, w.owner = append(w.leaves, leaf), append(w.owner, i)
		}
	}
	if w.r.layout.v1 {
		hashing.WriteSHA1(w.in, w.data)
	}
	if w.r.layout.v2 {
		for len(w.hashes) < len(w.leaves) {
			w.hashes = append(w.hashes, [32]byte{})
		}
		hashing.SumSHA256(w.hashes, w.leaves)
		for k, i := range w.owner {
			w.trees[i].Add(&w.hashes[k])
		}
	}
	w.r.count.Add(int64(n))
}

// settle hands over the pieces of the batch, or keeps them until their zeros are
// hashed.
func (w *worker) settle(ctx context.Context) error {
	for i, p := range w.batch {
		s := sums{err: w.errs[i]}
		if s.err != nil {
			w.r.count.Add(p.data) // as far as progress goes
		}
		if w.r.layout.v2 && s.err == nil && p.data > 0 {
			s.v2 = w.root(i, p)
		}
		if w.r.layout.v1 && p.zeros > 0 && s.err == nil {
			w.padded = append(w.padded, padded{p, s, w.v1[i]})
			continue
		}
		if w.r.layout.v1 && s.err == nil {
			s.v1 = w.v1[i].Sum()
		}
		w.free = append(w.free, w.v1[i])
		w.r.done(p, &s)
	}
	for len(w.padded) >= padGroup {
		if err := w.finish(ctx, padGroup); err != nil {
			return err
		}
	}
	return nil
}

// root returns the hash of piece p of the batch, which is number i there: that
// of a whole piece's tree, but for a file of one piece that of the file's own.
func (w *worker) root(i int, p piece) [32]byte {
	l := w.r.layout
	if l.extents[p.ext].size <= l.pieceLen {
		return w.trees[i].Root()
	}
	return w.trees[i].RootAt(merkle.Layer(l.pieceLen))
}

// finish hashes the zeros of the first n of the pieces that wait for them, and
// hands these over.
func (w *worker) finish(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	list := w.padded[:n]
	step := int64(zeroStep / n)
	for from := int64(0); ; from += step {
		w.ends, w.zeros = w.ends[:0], w.zeros[:0]
		for k := range list {
			if left := list[k].piece.zeros - from; left > 0 {
				w.ends, w.zeros = append(w.ends, list[k].v1), append(w.zeros, min(left, step))
			}
		}
		if len(w.ends) == 0 {
			break
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		hashing.ZerosSHA1(w.ends, w.zeros)
	}
	for k := range list {
		p := &list[k]
		p.sums.v1 = p.v1.Sum()
		w.free = append(w.free, p.v1)
		w.r.done(p.piece, &p.sums)
	}
	w.padded = append(w.padded[:0], w.padded[n:]...)
	return nil
}
