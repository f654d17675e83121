package hashing

import "slices"

// run is a message and the n blocks that are to be hashed into it: those of p,
// or zeros where p is nil.
type run struct {
	h *[5]uint32
	p []byte
	n int
}

// kernel hashes several messages at a time.
type kernel struct {
	width int // messages, at most
	// step hashes the next n blocks of each of the runs, which all have as many,
	// and leaves the runs themselves as they are.
	step func(runs []run, n int)
}

// maxBlocks bounds the blocks of one call of a kernel, which the scheduler
// cannot interrupt: about 3 ms.
const maxBlocks = 1 << 14

// hash works until fewer than least runs are left, and returns those. It uses
// runs as its own.
//
// A lane costs the same whether it has a message or not, so that the lanes are
// to be full until all messages end: those that have most left are hashed first,
// a slice of them at a time, while there are more of them than lanes.
func (k kernel) hash(runs []run, least int) []run {
	if len(runs) < least {
		return runs
	}
	slices.SortFunc(runs, func(a, b run) int { return b.n - a.n })
	slice := max(runs[0].n/16, 64)
	scratch := make([]run, 0, len(runs))
	for len(runs) >= least && len(runs) > 0 {
		in := runs[:min(k.width, len(runs))]
		out := runs[len(in):]
		n := min(in[len(in)-1].n, maxBlocks)
		if len(out) > 0 {
			n = min(n, in[len(in)-1].n-out[0].n+slice)
		}
		k.step(in, n)
		for i := range in {
			in[i].advance(n)
		}
		for len(in) > 0 && in[len(in)-1].n == 0 {
			in = in[:len(in)-1]
		}
		// Both are in order; so is what is made of them.
		scratch = merge(scratch[:0], in, out)
		runs = runs[:copy(runs, scratch)]
	}
	return runs
}

// merge appends a and b, both with the longest run first, to dst in that order.
func merge(dst, a, b []run) []run {
	for len(a) > 0 && len(b) > 0 {
		if a[0].n >= b[0].n {
			dst, a = append(dst, a[0]), a[1:]
		} else {
			dst, b = append(dst, b[0]), b[1:]
		}
	}
	return append(append(dst, a...), b...)
}

func (r *run) advance(n int) {
	r.n -= n
	if r.p != nil {
		r.p = r.p[n*blockSize:]
	}
}
