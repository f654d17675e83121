package maker

import (
	"context"

	"spate/internal/hashing"
	"spate/merkle"
)

// digests holds the unfinished hashes of a worker: the hashes of the pieces of its batch,
// and those of earlier pieces whose zeros are not hashed yet.
type digests struct {
	v1    []*hashing.SHA1   // by index of the piece in the batch
	trees []*merkle.Builder // trees over the blocks so far, by index of the piece in the batch
	fed   []int64           // number of bytes hashed so far, by index of the piece in the batch

	free   []*hashing.SHA1
	padded []padded

	// Scratch space, kept to avoid allocations.
	in     []*hashing.SHA1
	data   [][]byte
	blocks [][]byte
	hashes [][32]byte
	owner  []int // for each block, the index of its piece in the batch, or fileBlock
	runs   []plannedRun
	ends   []*hashing.SHA1
	zeros  []int64
}

// padded is a piece whose data is hashed but whose padding is not. A hybrid torrent of many
// small files has many of them. A worker collects padded pieces over several batches and
// hashes the zeros of many pieces together.
type padded struct {
	piece piece
	sums  sums
	v1    *hashing.SHA1
}

const (
	// padGroup is the number of pieces whose zeros are hashed together. It is a
	// multiple of the width of all kernels, so that no lane is empty.
	padGroup = 128
	// zeroStep is the total number of zeros that are hashed between two checks of the
	// context, which takes 10 to 40 ms.
	zeroStep = 64 << 20
)

// begin starts the digests for a batch of n pieces.
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
	w.fed = append(w.fed[:0], make([]int64, n)...)
}

// feed hashes the next bytes of each piece of the batch, except for pieces with an
// error. The bytes must be complete blocks unless they end a piece.
func (w *worker) feed(parts [][]byte, errs []error) {
	w.in, w.data = w.in[:0], w.data[:0]
	w.blocks, w.owner, w.runs = w.blocks[:0], w.owner[:0], w.runs[:0]
	n := 0
	for i, p := range parts {
		if errs[i] != nil || len(p) == 0 {
			continue
		}
		n += len(p)
		w.in, w.data = append(w.in, w.v1[i]), append(w.data, p)
		if w.r.layout.trees() {
			first := len(w.blocks)
			w.addBlocks(p, i)
			if w.r.layout.beside {
				w.planRuns(w.batch[i], w.fed[i], p, first)
			}
		}
		w.fed[i] += int64(len(p))
	}
	if w.r.layout.v1 {
		hashing.WriteSHA1(w.in, w.data)
	}
	if w.r.layout.trees() {
		for len(w.hashes) < len(w.blocks) {
			w.hashes = append(w.hashes, [32]byte{})
		}
		hashing.SumSHA256(w.hashes, w.blocks)
		for k, i := range w.owner {
			if i != fileBlock {
				w.trees[i].Add(&w.hashes[k])
			}
		}
		w.finishRuns()
	}
	w.r.count.Add(int64(n))
}

// addBlocks adds the blocks of p to those that are hashed next.
func (w *worker) addBlocks(p []byte, owner int) {
	for len(p) > 0 {
		block := p[:min(merkle.BlockSize, len(p))]
		p = p[len(block):]
		w.blocks, w.owner = append(w.blocks, block), append(w.owner, owner)
	}
}

// deliver passes the hashes of the pieces of the batch to done. Pieces that need zeros
// are kept until these are hashed.
func (w *worker) deliver(ctx context.Context) error {
	for i, p := range w.batch {
		s := sums{err: w.errs[i]}
		if s.err != nil {
			w.r.count.Add(p.data) // count the piece as processed
		}
		if w.r.layout.trees() && s.err == nil && p.data > 0 {
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
		if err := w.finishPadded(ctx, padGroup); err != nil {
			return err
		}
	}
	return nil
}

// root returns the v2 hash of piece p, which has index i in the batch: the root of the
// tree of a complete piece, or of the tree of the file if the file of a v2 torrent has only
// one piece.
func (w *worker) root(i int, p piece) [32]byte {
	l := w.r.layout
	if l.v2 && l.extents[p.ext].size <= l.pieceLen {
		return w.trees[i].Root()
	}
	return w.trees[i].RootAt(merkle.Layer(l.pieceLen))
}

// finishPadded hashes the zeros of the first n padded pieces and passes their hashes to
// done.
func (w *worker) finishPadded(ctx context.Context, n int) error {
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
