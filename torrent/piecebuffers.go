package torrent

// Buffers of pieces are parts of slabs, which use huge pages if the system has them.
// Hashing reads sixteen pieces at once. With small pages the processor's cache of page
// addresses would be too small for all of them.
const (
	slabSize  = 8 << 20
	slabLeast = 512 << 10 // shorter pieces get buffers of their own, because slow downloads need less than a huge page
	slabFrom  = 32 << 20  // shorter torrents use no slabs
)

// pieceBufLocked returns the buffer for the piece in a slot of the picker.
func (t *Torrent) pieceBufLocked(slot int) []byte {
	if n := slot + 1 - len(t.pieces.bufs); n > 0 {
		t.pieces.bufs = append(t.pieces.bufs, make([][]byte, n)...)
	}
	if t.pieces.bufs[slot] == nil {
		t.pieces.bufs[slot] = t.newBufLocked(t.info.PieceLength)
	}
	return t.pieces.bufs[slot]
}

// newBufLocked returns a buffer of n bytes for a piece.
func (t *Torrent) newBufLocked(n int64) []byte {
	if n < slabLeast || n > slabSize/4 || t.info.TotalLength() < slabFrom {
		return make([]byte, n)
	}
	if int64(len(t.pieces.slab)) < n {
		t.pieces.slab = newSlab(slabSize)
	}
	b := t.pieces.slab[:n:n]
	t.pieces.slab = t.pieces.slab[n:]
	return b
}
