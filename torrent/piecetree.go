package torrent

import (
	"spate/merkle"
	"spate/metainfo"
	"spate/peerwire"
)

// pieceTree is the hash tree over the blocks of a piece: a part of the tree of a file (BEP
// 52), or a tree of its own in a v1 torrent with v2 hashes beside it.
type pieceTree struct {
	root []byte // the hash at the top; nil if it is not known
	size int64  // number of bytes of the piece that the tree covers; zeros follow them
	top  int    // the layer of root
	// ask requests the hashes of all blocks. A v1 torrent has no root of a file that a
	// request could name, so it names the root of the piece. Length is 0 if a request cannot
	// name the blocks, because their numbers do not fit into 32 bits.
	ask peerwire.HashRange
}

// pieceTree returns the tree of a piece. A v1 torrent without v2 hashes has none: root is nil.
func (t *Torrent) pieceTree(piece int) pieceTree {
	mi := t.MetaInfo()
	if !t.info.HasV2() {
		if mi.V2Hashes == nil {
			return pieceTree{}
		}
		root := mi.V2Hashes.PieceRoot(piece)
		top := merkle.Layer(t.info.PieceLength)
		return pieceTree{root, t.info.PieceSize(piece), top, peerwire.HashRange{
			PiecesRoot: [merkle.HashSize]byte(root), Length: 1 << top,
		}}
	}
	f, n := t.fileOf(piece)
	top := merkle.Layer(t.info.PieceLength)
	if f.Length <= t.info.PieceLength {
		_, blocks := t.pieceLayerOf(f)
		top = merkle.Height(blocks)
	}
	tree := pieceTree{
		size: min(t.info.PieceLength, f.Length-int64(n)*t.info.PieceLength), top: top,
		ask: peerwire.HashRange{PiecesRoot: *f.PiecesRoot, Index: uint32(n << top), Length: 1 << top},
	}
	if int64(n+1)<<top > 1<<32 {
		tree.ask.Length = 0
	}
	if layer := mi.PieceLayer(f); len(layer) >= merkle.HashSize*(n+1) {
		tree.root = layer[merkle.HashSize*n : merkle.HashSize*(n+1)]
	}
	return tree
}

// fileOf returns the file that a piece of a v2 or hybrid torrent belongs to, and the
// index of the piece in that file.
func (t *Torrent) fileOf(piece int) (*metainfo.File, int) {
	at := int64(piece) * t.info.PieceLength
	f := &t.info.Files[t.info.FileAt(at)]
	return f, int((at - f.Offset) / t.info.PieceLength)
}

// matches checks the data of a piece by its tree. It also returns the hashes of the blocks.
func (p *pieceTree) matches(data []byte) (bool, [][merkle.HashSize]byte) {
	size := min(int64(len(data)), p.size)
	blockHashes := hashBlocks(data[:size])
	if p.root == nil {
		return false, blockHashes
	}
	for _, b := range data[size:] {
		if b != 0 {
			return false, blockHashes
		}
	}
	tree := merkle.NewBuilder(0)
	tree.AddAll(blockHashes)
	return tree.RootAt(p.top) == [merkle.HashSize]byte(p.root), blockHashes
}

// hashesBeside reports whether the v2 hashes stand beside a v1 torrent, so that they can be wrong.
func (t *Torrent) hashesBeside() bool { return !t.info.HasV2() }

// dropV2Hashes forgets the v2 hashes of a v1 torrent, because they do not describe the data
// of the v1 hashes. The info-hash covers only the v1 hashes, so the download goes on by them.
func (t *Torrent) dropV2Hashes(piece int) {
	now := t.MetaInfo()
	if now.V2Hashes == nil {
		return
	}
	without := *now
	without.V2Hashes = nil
	if t.full.CompareAndSwap(now, &without) {
		t.log.Warn("the v2 hashes beside the v1 torrent describe other data and are ignored", "piece", piece)
	}
}
