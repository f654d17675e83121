package hashing

import (
	"crypto/sha256"
	"encoding/binary"
)

// SumSHA256 stores the SHA-256 of ps[i] in dst[i] for every i.
func SumSHA256(dst [][SizeSHA256]byte, ps [][]byte) {
	if !useSHA {
		for i, p := range ps {
			dst[i] = sha256.Sum256(p)
		}
		return
	}
	var q pairs
	for i, p := range ps {
		q.sum(&dst[i], p)
	}
	q.flush()
}

var init256 = [8]uint32{
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}

// message is a SHA-256 message with its padding.
type message struct {
	dst   *[SizeSHA256]byte
	h     [8]uint32
	p     []byte              // the complete blocks
	end   [2 * blockSize]byte // the rest and the padding: one or two blocks
	tail  int                 // number of bytes in end
	off   int                 // number of hashed bytes of p, or of end if inEnd is set
	inEnd bool                // the blocks of p are hashed and those of end follow
}

// pairs hashes two messages at a time. When one of them ends, the other waits for the
// next.
type pairs struct {
	m    [2]message
	busy int // number of messages in progress: none, m[0] or both
}

// sum starts a message and hashes until one of two messages has ended.
func (q *pairs) sum(dst *[SizeSHA256]byte, p []byte) {
	q.m[q.busy].begin(dst, p)
	q.busy++
	if q.busy < 2 {
		return
	}
	for q.busy == 2 {
		n := min(q.m[0].left(), q.m[1].left(), maxBlocks*blockSize)
		sha256Blocks2(&q.m[0].h, &q.m[1].h, q.m[0].at(), q.m[1].at(), n/blockSize)
		if q.m[1].advance(n) {
			q.busy--
		}
		if q.m[0].advance(n) {
			q.busy--
			q.m[0] = q.m[1]
		}
	}
}

// flush finishes the message in progress, if there is one. It ignores the results of the
// second lane.
func (q *pairs) flush() {
	for q.busy > 0 {
		n := min(q.m[0].left(), maxBlocks*blockSize)
		sha256Blocks2(&q.m[0].h, &q.m[1].h, q.m[0].at(), q.m[0].at(), n/blockSize)
		if q.m[0].advance(n) {
			q.busy = 0
		}
	}
}

// begin starts the message p, whose digest is stored in dst.
func (m *message) begin(dst *[SizeSHA256]byte, p []byte) {
	whole := len(p) &^ (blockSize - 1)
	m.dst, m.h, m.p, m.off, m.inEnd = dst, init256, p[:whole], 0, whole == 0
	// The padding of FIPS 180-4: a one bit, zeros, and the length in bits.
	rest := copy(m.end[:], p[whole:])
	m.tail = blockSize
	if rest+1+8 > blockSize {
		m.tail = 2 * blockSize
	}
	clear(m.end[rest:])
	m.end[rest] = 0x80
	binary.BigEndian.PutUint64(m.end[m.tail-8:], uint64(len(p))*8)
}

// left returns the number of contiguous bytes in memory that are hashed next.
func (m *message) left() int {
	if m.inEnd {
		return m.tail - m.off
	}
	return len(m.p) - m.off
}

// at returns the address of the bytes that are hashed next.
func (m *message) at() *byte {
	if m.inEnd {
		return &m.end[m.off]
	}
	return &m.p[m.off]
}

// advance records that n bytes are hashed, and reports whether the message has ended.
// It then stores the digest.
func (m *message) advance(n int) bool {
	m.off += n
	if m.left() > 0 {
		return false
	}
	if !m.inEnd {
		m.inEnd, m.off = true, 0
		return false
	}
	for i, v := range m.h {
		binary.BigEndian.PutUint32(m.dst[4*i:], v)
	}
	return true
}
