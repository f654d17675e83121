package lanes

// lane is a message and the whole blocks that are to be hashed into it.
type lane struct {
	h *[5]uint32
	p []byte
}

// laneQueue pairs what it is given: two lanes run while both have blocks, and
// the longer one waits for the next partner.
type laneQueue struct{ waiting lane }

// maxBlocks bounds the blocks of one call of a kernel, which the scheduler
// cannot interrupt: about 2 ms.
const maxBlocks = 1 << 14

func (q *laneQueue) write(l lane) {
	for len(l.p) > 0 {
		if len(q.waiting.p) == 0 {
			q.waiting = l
			return
		}
		w := &q.waiting
		n := min(len(l.p), len(w.p), maxBlocks*blockSize)
		sha1Blocks2(w.h, l.h, &w.p[0], &l.p[0], n/blockSize)
		w.p, l.p = w.p[n:], l.p[n:]
	}
}

func (q *laneQueue) flush() {
	for p := q.waiting.p; len(p) > 0; {
		n := min(len(p), maxBlocks*blockSize)
		sha1Blocks(q.waiting.h, &p[0], n/blockSize)
		p = p[n:]
	}
	q.waiting = lane{}
}
