package utp

import "sync"

// maxPacket bounds the payload of a UDP packet: libtorrent reads no more than 1,500 bytes, and
// few networks carry more in one piece.
const maxPacket = 1500

// buffer holds one packet, or received bytes that nobody has read yet.
type buffer struct {
	next       *buffer // the next buffer of a fifo
	begin, end uint16  // the part of data that counts
	data       [maxPacket]byte
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func newBuffer() *buffer {
	b := buffers.Get().(*buffer)
	b.next, b.begin, b.end = nil, 0, 0
	return b
}

func (b *buffer) free() { buffers.Put(b) }

func (b *buffer) bytes() []byte { return b.data[b.begin:b.end] }

// fifo is a queue of bytes in buffers.
type fifo struct {
	first, last *buffer
	size        int // bytes in the queue
}

// append copies p to the end of the queue.
func (q *fifo) append(p []byte) {
	q.size += len(p)
	for len(p) > 0 {
		if q.last == nil || q.last.end == maxPacket {
			q.link(newBuffer())
		}
		n := copy(q.last.data[q.last.end:], p)
		q.last.end += uint16(n)
		p = p[n:]
	}
}

// push appends a buffer, which then belongs to the queue. Few bytes are copied instead, so that
// many short packets do not occupy a buffer each.
func (q *fifo) push(b *buffer) {
	if q.last != nil && int(b.end-b.begin) <= maxPacket-int(q.last.end) {
		q.append(b.bytes())
		b.free()
		return
	}
	q.size += int(b.end - b.begin)
	q.link(b)
}

func (q *fifo) link(b *buffer) {
	if q.last == nil {
		q.first = b
	} else {
		q.last.next = b
	}
	q.last = b
}

// read moves bytes from the front of the queue to p.
func (q *fifo) read(p []byte) (n int) {
	for q.first != nil && n < len(p) {
		b := q.first
		k := copy(p[n:], b.bytes())
		b.begin += uint16(k)
		n += k
		if b.begin == b.end {
			q.drop()
		}
	}
	q.size -= n
	return n
}

// drop removes the first buffer.
func (q *fifo) drop() {
	b := q.first
	if q.first = b.next; q.first == nil {
		q.last = nil
	}
	b.free()
}

// clear removes all bytes.
func (q *fifo) clear() {
	for q.first != nil {
		q.drop()
	}
	q.size = 0
}
