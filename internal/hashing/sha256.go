package hashing

import (
	"crypto/sha256"
	"encoding/binary"
)

// SumSHA256 puts the SHA-256 of ps[i] into dst[i], for all of them at a time.
func SumSHA256(dst [][SizeSHA256]byte, ps [][]byte) {
	if !accelerated {
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

// message is a SHA-256 message that is hashed to its end.
type message struct {
	dst  *[SizeSHA256]byte
	h    [8]uint32
	p    []byte              // its whole blocks
	end  [2 * blockSize]byte // the rest, and the padding: one block or two
	tail int                 // bytes of end
	off  int                 // bytes of p, or of end after that, that are hashed
	last bool                // end is next
}

// pairs hashes messages two at a time. When one has ended, the other one waits
// for the next.
type pairs struct {
	m    [2]message
	busy int // messages in progress: m[0], then m[1]
}

// sum takes a message.
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

// flush ends the message that has no partner. The other lane works on rubbish.
func (q *pairs) flush() {
	for q.busy > 0 {
		n := min(q.m[0].left(), maxBlocks*blockSize)
		sha256Blocks2(&q.m[0].h, &q.m[1].h, q.m[0].at(), q.m[0].at(), n/blockSize)
		if q.m[0].advance(n) {
			q.busy = 0
		}
	}
}

func (m *message) begin(dst *[SizeSHA256]byte, p []byte) {
	whole := len(p) &^ (blockSize - 1)
	m.dst, m.h, m.p, m.off, m.last = dst, init256, p[:whole], 0, whole == 0
	// The padding of FIPS 180-4: a one bit, zeros, the length in bits.
	rest := copy(m.end[:], p[whole:])
	m.tail = blockSize
	if rest+1+8 > blockSize {
		m.tail = 2 * blockSize
	}
	clear(m.end[rest:])
	m.end[rest] = 0x80
	binary.BigEndian.PutUint64(m.end[m.tail-8:], uint64(len(p))*8)
}

// left returns how many bytes follow each other in memory at the one that is to
// be hashed next.
func (m *message) left() int {
	if m.last {
		return m.tail - m.off
	}
	return len(m.p) - m.off
}

func (m *message) at() *byte {
	if m.last {
		return &m.end[m.off]
	}
	return &m.p[m.off]
}

// advance says that n bytes are hashed, and reports whether that was the end of
// the message.
func (m *message) advance(n int) bool {
	m.off += n
	if m.left() > 0 {
		return false
	}
	if !m.last {
		m.last, m.off = true, 0
		return false
	}
	for i, v := range m.h {
		binary.BigEndian.PutUint32(m.dst[4*i:], v)
	}
	return true
}
