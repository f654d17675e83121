package hashing

// pairQueue pairs the runs of data that it is given: two of them are hashed while
// both have blocks, and the longer one waits for the next partner.
type pairQueue struct{ waiting run }

func (q *pairQueue) write(r run) {
	for r.n > 0 {
		if q.waiting.n == 0 {
			q.waiting = r
			return
		}
		w := &q.waiting
		n := min(r.n, w.n, maxBlocks)
		sha1Blocks2(w.h, r.h, &w.p[0], &r.p[0], n)
		w.advance(n)
		r.advance(n)
	}
}

func (q *pairQueue) flush() {
	for w := &q.waiting; w.n > 0; {
		n := min(w.n, maxBlocks)
		sha1Blocks(w.h, &w.p[0], n)
		w.advance(n)
	}
}
