package hashing

// pairQueue hashes two messages at a time while both have blocks left. The longer one
// then waits for the next message.
type pairQueue struct{ waiting run }

// write hashes r together with the waiting message until one of them has no blocks
// left. The other one waits.
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

// flush hashes the rest of the waiting message.
func (q *pairQueue) flush() {
	for w := &q.waiting; w.n > 0; {
		n := min(w.n, maxBlocks)
		sha1Blocks(w.h, &w.p[0], n)
		w.advance(n)
	}
}
