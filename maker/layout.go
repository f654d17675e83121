package maker

// extent is the range of the byte space that a file occupies.
type extent struct {
	file int   // index in the list of files of the run
	off  int64 // offset of the first byte
	size int64 // in bytes, not 0
}

func (e extent) end() int64 { return e.off + e.size }

// layout is the byte space of a torrent, divided into pieces. The space between extents
// is zeros: pad files or gaps of v2.
type layout struct {
	pieceLen int64
	total    int64    // in bytes, including zeros
	extents  []extent // in order, without overlap
	v1, v2   bool     // which hashes are computed; if v2 is set, extents start at pieces
	beside   bool     // v2 hashes are computed for a v1 torrent; there are no zeros
}

// trees reports whether the blocks of each piece are hashed for a tree.
func (l *layout) trees() bool { return l.v2 || l.beside }

func (l *layout) numPieces() int { return int((l.total + l.pieceLen - 1) / l.pieceLen) }

// piece is one piece of a layout.
type piece struct {
	index int
	ext   int   // index of the first extent with data in the piece
	data  int64 // number of bytes up to the end of the last extent in the piece
	zeros int64 // number of bytes after that
}

// cutter cuts a layout into pieces and returns them in order.
type cutter struct {
	l    *layout
	next int // index of the next piece
	ext  int // index of the first extent that ends after the start of that piece
}

// cut returns the next piece, or false if there are no more.
func (c *cutter) cut() (piece, bool) {
	start := int64(c.next) * c.l.pieceLen
	if start >= c.l.total {
		return piece{}, false
	}
	end := min(start+c.l.pieceLen, c.l.total)
	p := piece{index: c.next, ext: c.ext}
	last := start // end of the data so far
	for c.ext < len(c.l.extents) {
		e := c.l.extents[c.ext]
		if e.off >= end {
			break
		}
		last = min(e.end(), end)
		if e.end() > end {
			break
		}
		c.ext++
	}
	p.data, p.zeros = last-start, end-last
	c.next++
	return p, true
}

// span is a part of a piece that lies in one file.
type span struct {
	ext    int
	at     int64 // offset in the file
	into   int64 // offset in the piece
	length int64
}

// spans calls f for each span in the bytes [from, to) of piece p, in order, until f
// returns false.
func (l *layout) spans(p piece, from, to int64, f func(span) bool) {
	start := int64(p.index)*l.pieceLen + from
	end := int64(p.index)*l.pieceLen + to
	for k := p.ext; k < len(l.extents) && l.extents[k].off < end; k++ {
		e := l.extents[k]
		lo, hi := max(e.off, start), min(e.end(), end)
		if lo >= hi {
			continue
		}
		if !f(span{k, lo - e.off, lo - start + from, hi - lo}) {
			return
		}
	}
}
