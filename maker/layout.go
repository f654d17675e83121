package maker

// extent is where a file with data lies in the torrent's byte space.
type extent struct {
	file int   // index into the list that a run reads from
	off  int64 // of the first byte
	size int64 // bytes, not 0
}

func (e extent) end() int64 { return e.off + e.size }

// layout is the byte space of a torrent, cut into pieces. What lies between the
// extents is zeros: pad files, or the gaps of v2.
type layout struct {
	pieceLen int64
	total    int64    // bytes, zeros included
	extents  []extent // in order, not overlapping
	v1, v2   bool     // which hashes are wanted; with v2, extents start at pieces
}

func (l *layout) numPieces() int { return int((l.total + l.pieceLen - 1) / l.pieceLen) }

// piece is one piece of a layout.
type piece struct {
	index int
	ext   int   // the first extent with bytes in it
	data  int64 // bytes up to the end of the last extent in it
	zeros int64 // bytes after that
}

// cutter hands out the pieces of a layout in order.
type cutter struct {
	l    *layout
	next int // piece
	ext  int // the first extent that ends behind the start of that piece
}

// cut returns the next piece; false when there is none.
func (c *cutter) cut() (piece, bool) {
	start := int64(c.next) * c.l.pieceLen
	if start >= c.l.total {
		return piece{}, false
	}
	end := min(start+c.l.pieceLen, c.l.total)
	p := piece{index: c.next, ext: c.ext}
	last := start // end of the data
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

// span is a run of a file's bytes inside a piece.
type span struct {
	ext    int
	at     int64 // in the file
	into   int64 // in the piece
	length int64
}

// spans calls f for the runs of files in bytes [from, to) of piece p, in order,
// until f returns false.
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
