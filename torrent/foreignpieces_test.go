package torrent_test

import (
	"spate/bitfield"
	"spate/peerwire"
)

// foreignBlock identifies a block: the piece, and the number of the block in the piece.
type foreignBlock struct{ piece, index int }

// blockState is the state of one block of a started piece.
type blockState struct {
	arrived bool
	asked   int          // connections on which the block is requested or about to be
	by      *foreignConn // the connection that requested or sent the block last
}

// foreignPieces records what a foreignPeer has, has requested, and can get.
type foreignPieces struct {
	total, length int // bytes of the torrent and of a piece
	have          bitfield.Bitfield
	peers         []int          // number of peers that have each piece
	started       [][]blockState // blocks of each piece of which a block was requested or has arrived, or nil
	unasked       []int          // blocks of each piece that are neither requested nor there
	numStarted    int
}

func newForeignPieces(total, length int) foreignPieces {
	n := (total + length - 1) / length
	f := foreignPieces{
		total: total, length: length, have: bitfield.New(n),
		peers: make([]int, n), started: make([][]blockState, n), unasked: make([]int, n),
	}
	for i := range n {
		f.unasked[i] = f.blocks(i)
	}
	return f
}

// offset returns the offset of a block in the torrent.
func (f *foreignPieces) offset(b foreignBlock) int {
	return b.piece*f.length + b.index*peerwire.BlockLen
}

// size returns the length of a block.
func (f *foreignPieces) size(b foreignBlock) int {
	end := min(f.total, (b.piece+1)*f.length)
	return min(peerwire.BlockLen, end-f.offset(b))
}

// blocks returns the number of blocks of a piece.
func (f *foreignPieces) blocks(piece int) int {
	n := min(f.length, f.total-piece*f.length)
	return (n + peerwire.BlockLen - 1) / peerwire.BlockLen
}

// block returns the state of a block.
func (f *foreignPieces) block(b foreignBlock) blockState {
	if s := f.started[b.piece]; s != nil {
		return s[b.index]
	}
	return blockState{}
}

// free reports whether a block has not arrived and is requested on no connection.
func (f *foreignPieces) free(b foreignBlock) bool {
	s := f.block(b)
	return !s.arrived && s.asked == 0 && !f.have.Get(b.piece)
}

// request records that a block is or will be requested on a connection.
func (f *foreignPieces) request(b foreignBlock, c *foreignConn) {
	if f.started[b.piece] == nil {
		f.started[b.piece] = make([]blockState, f.blocks(b.piece))
		f.numStarted++
	}
	s := &f.started[b.piece][b.index]
	if s.asked == 0 && !s.arrived {
		f.unasked[b.piece]--
	}
	s.asked++
	s.by = c
}

// release records that a block is not requested on a connection any more.
func (f *foreignPieces) release(b foreignBlock) {
	if f.started[b.piece] == nil {
		return
	}
	s := &f.started[b.piece][b.index]
	if s.arrived || s.asked == 0 {
		return
	}
	s.asked--
	if s.asked > 0 {
		return
	}
	s.by = nil
	f.unasked[b.piece]++
	if f.unasked[b.piece] == f.blocks(b.piece) {
		f.started[b.piece] = nil
		f.numStarted--
	}
}

// store records that a block has arrived, and reports whether it was missing.
func (f *foreignPieces) store(b foreignBlock, c *foreignConn) bool {
	if f.have.Get(b.piece) || f.block(b).arrived {
		return false
	}
	if f.block(b).asked == 0 {
		f.request(b, c)
	}
	s := &f.started[b.piece][b.index]
	s.arrived, s.by = true, c
	return true
}

// full reports whether all blocks of a piece have arrived.
func (f *foreignPieces) full(piece int) bool {
	for _, s := range f.started[piece] {
		if !s.arrived {
			return false
		}
	}
	return f.started[piece] != nil
}

// complete records that a piece is complete.
func (f *foreignPieces) complete(piece int) {
	f.have.Set(piece)
	f.started[piece] = nil
	f.numStarted--
}

// missing returns the number of pieces that are not complete.
func (f *foreignPieces) missing() int { return f.have.Len() - f.have.Count() }
