package torrent

// Buffers of pieces are cut from slabs that lie on huge pages where the system has
// them: hashing walks through sixteen pieces at once, each on pages of its own.
const (
	slabSize  = 8 << 20
	slabLeast = 512 << 10 // the least piece: a slow download of smaller ones needs less than a huge page
	slabFrom  = 32 << 20  // the least torrent for which slabs are worth their size
)

// pieceBufLocked returns the buffer of the piece that is put together in a slot.
func (t *Torrent) pieceBufLocked(slot int) []byte {
	if t.bufs[slot] == nil {
		t.bufs[slot] = t.newBufLocked(t.info.PieceLength)
	}
	return t.bufs[slot]
}

func (t *Torrent) newBufLocked(n int64) []byte {
	if n < slabLeast || n > slabSize/4 || t.info.TotalLength() < slabFrom {
		return make([]byte, n)
	}
	if int64(len(t.slab)) < n {
		t.slab = newSlab(slabSize)
	}
	b := t.slab[:n:n]
	t.slab = t.slab[n:]
	return b
}
