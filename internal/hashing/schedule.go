package hashing

import "slices"

// run is a message h and the next n blocks to hash into it: the blocks of p, or zeros if p
// is nil.
type run struct {
	h *[5]uint32
	p []byte
	n int
}

// kernel hashes several messages at a time.
type kernel struct {
	width int // the maximum number of messages
	// step hashes the next n blocks of each run. It does not advance the runs.
	step func(runs []run, n int)
}

// maxBlocks limits the blocks in one call of a kernel to about 3 ms of work, because the
// scheduler cannot interrupt a kernel.
const maxBlocks = 1 << 14

// hash hashes the runs until fewer than least are left, and returns those. It changes runs.
//
// A step takes the same time however many lanes are in use, so all lanes should be in use
// until the end. Therefore, while there are more runs than lanes, hash always works on the
// longest runs, a few blocks at a time.
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
		// in and out are sorted, so the merged list is sorted too.
		scratch = merge(scratch[:0], in, out)
		runs = runs[:copy(runs, scratch)]
	}
	return runs
}

// merge appends a and b to dst. All are sorted by decreasing length.
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

// advance removes the first n blocks, which were hashed.
func (r *run) advance(n int) {
	r.n -= n
	if r.p != nil {
		r.p = r.p[n*blockSize:]
	}
}
