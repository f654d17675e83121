package torrent

import (
	"errors"
	"time"

	"spate/merkle"
	"spate/metainfo"
	"spate/peerwire"
)

// proveBlockHashes computes the answer to a request for hashes below the piece layer of a
// file. The torrent must have the piece.
func (c *conn) proveBlockHashes(f *metainfo.File, span merkle.Span) ([]byte, bool) {
	t := c.t
	top, blocks := t.pieceLayerOf(f)
	if span.Index > blocks>>span.Base {
		return nil, false
	}
	n := span.Index << span.Base >> top // index of the piece in its file
	blockHashes, ok := c.blockHashesFor(f.Offset+n*t.info.PieceLength, min(t.info.PieceLength, f.Length-n*t.info.PieceLength))
	if !ok {
		return nil, false
	}
	hashes, err := merkle.ProveBlocks(nil, blockHashes, t.MetaInfo().PieceLayer(f), top, blocks, span)
	return hashes, err == nil
}

// provePieceBlocks computes the answer to a request for the hashes of all blocks of a piece of
// a v1 torrent with v2 hashes. The torrent must have the piece.
func (c *conn) provePieceBlocks(r *peerwire.HashRange) ([]byte, bool) {
	t := c.t
	piece, ok := t.pieceOfRoot(r.PiecesRoot)
	if !ok {
		return nil, false
	}
	tree := t.pieceTree(piece)
	if *r != tree.ask {
		return nil, false
	}
	hashes, ok := c.blockHashesFor(int64(piece)*t.info.PieceLength, tree.size)
	if !ok {
		return nil, false
	}
	return append(hashes, make([]byte, int(r.Length)*merkle.HashSize-len(hashes))...), true
}

// blockHashesFor reads the piece of size bytes at offset at for the peer, and returns the
// hashes of its blocks. It returns false if the torrent does not have the piece, or if the
// peers at its address have asked for too much.
func (c *conn) blockHashesFor(at, size int64) ([]byte, bool) {
	t := c.t
	if size <= merkle.BlockSize || size > maxHashedPiece {
		return nil, false
	}
	t.mu.Lock()
	have := t.pick.Have(int(at/t.info.PieceLength)) && c.mayServeLocked()
	t.mu.Unlock()
	if !have || !t.s.hashBudgets.take(c.peer.key, size, time.Now()) {
		return nil, false
	}
	select {
	case t.s.blockHashing <- struct{}{}:
		defer func() { <-t.s.blockHashing }()
	default:
		return nil, false
	}
	blockHashes, err := t.readBlockHashes(at, size)
	if err != nil {
		t.dataGone(err)
		return nil, false
	}
	return blockHashes, true
}

// readBlockHashes reads size bytes from offset at and returns the hashes of their blocks.
func (t *Torrent) readBlockHashes(at, size int64) ([]byte, error) {
	buf := t.s.uploads.Get()
	defer t.s.uploads.Put(buf)
	blockHashes := make([]byte, 0, (size+merkle.BlockSize-1)/merkle.BlockSize*merkle.HashSize)
	for size > 0 {
		part := buf[:min(int64(len(buf)), size)]
		err := t.s.onDisk(func() error {
			_, err := t.data.store.ReadAt(part, at)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, h := range hashBlocks(part) {
			blockHashes = append(blockHashes, h[:]...)
		}
		at, size = at+int64(len(part)), size-int64(len(part))
	}
	return blockHashes, nil
}

// blockHashTimeout bounds the wait for the block hashes that a peer was asked for.
const blockHashTimeout = 10 * time.Second

var errWrongHashes = errors.New("the peer sent wrong hashes")

// parkedPiece is a complete piece that failed its check. It waits for the hashes of its
// blocks, which show which blocks are bad.
type parkedPiece struct {
	failedPiece
	root  [merkle.HashSize]byte
	ask   peerwire.HashRange // the hashes that peers are asked for
	at    time.Time          // when the last peer was asked
	asked *conn              // the last peer that was asked
	tried map[*conn]bool     // all peers that were asked
}

// parkLocked keeps a failed piece until the hashes of its blocks arrive. It returns false
// if no peer can be asked for them.
func (t *Torrent) parkLocked(fp failedPiece) bool {
	if len(fp.blockHashes) < 2 || len(t.bad.parked) >= max(1, t.pieces.mostOpen/2) || t.hashesBeside() && !t.mayTryLocked(fp.index) {
		return false
	}
	tree := t.pieceTree(fp.index)
	if tree.root == nil || tree.ask.Length == 0 || tree.ask.Length > peerwire.MaxHashes {
		return false
	}
	p := &parkedPiece{failedPiece: fp, root: [merkle.HashSize]byte(tree.root), tried: map[*conn]bool{}, ask: tree.ask}
	if !t.askBlockHashesLocked(p) {
		return false
	}
	t.bad.parked[fp.index] = p
	return true
}

// askBlockHashesLocked asks one more peer for the block hashes of a piece: a peer that has
// the piece and was not asked yet, if possible one that sent no block of the piece. It
// returns false if no such peer is connected.
func (t *Torrent) askBlockHashesLocked(p *parkedPiece) bool {
	var best *conn
	involved := true
	for _, c := range t.peerConns.byID {
		if c == nil || c.end.gone || !c.givesBlockHashesLocked() || p.tried[c] || !t.pick.PeerHas(c.id, p.index) {
			continue
		}
		sent := p.sentBy(c.peer.key)
		if best == nil || involved && !sent {
			best, involved = c, sent
		}
	}
	if best == nil {
		return false
	}
	p.tried[best], p.asked, p.at = true, best, time.Now()
	best.tx.control = peerwire.AppendHashRange(best.tx.control, peerwire.HashRequest, &p.ask, nil)
	best.kickLocked()
	return true
}

// givesBlockHashesLocked reports whether the peer can be asked for block hashes: a v2 peer, or a
// peer of a v1 torrent that says that it knows the v2 hashes.
func (c *conn) givesBlockHashesLocked() bool { return c.peer.v2 || c.ext.handshake.V2Hashes }

// parkedFor returns the parked piece for which the peer was asked for the hashes of r, or nil.
// Pieces of a v1 torrent with equal data have the same r. Of these it prefers one that still
// waits for this peer.
func (c *conn) parkedFor(r *peerwire.HashRange) (found *parkedPiece) {
	for _, p := range c.t.bad.parked {
		switch {
		case p.ask != *r || !p.tried[c]:
		case p.asked == c:
			return p
		default:
			found = p
		}
	}
	return found
}

// blockHashesLocked handles the block hashes of a parked piece, or a peer's refusal to
// send them. Good blocks stay, bad blocks are requested again, and the peers that sent
// bad blocks are banned, at once or at the end of a trial.
func (c *conn) blockHashesLocked(p *parkedPiece, refused bool, hashes []byte) error {
	t := c.t
	if refused || t.pieceTree(p.index).root == nil { // the second after dropV2Hashes
		if p.asked == c {
			t.parkedAgainLocked(p)
		}
		return nil
	}
	beside := t.hashesBeside()
	if beside && p.asked != c {
		return nil // the peer has answered before, or too late
	}
	if len(hashes) != int(p.ask.Length)*merkle.HashSize || merkle.Root(hashes, 0) != p.root {
		if beside {
			p.hashers = append(p.hashers, c.peer.key)
			t.parkedAgainLocked(p)
			return nil
		}
		t.banLocked(c.peer.key, p.index)
		return errWrongHashes
	}
	delete(t.bad.parked, p.index)
	if beside {
		tr := t.suspectLocked(p.failedPiece)
		if tr == nil { // other pieces have failed meanwhile
			t.beginTrialLocked(p.failedPiece)
			t.refillOthersLocked()
			return nil
		}
		tr.rounds++
	}
	found := false
	for i := range p.blockHashes {
		if p.blockHashes[i] == [merkle.HashSize]byte(hashes[i*merkle.HashSize:]) {
			continue
		}
		found = true
		bad := t.pick.BlockAt(p.index, i)
		t.count.wasted.Add(int64(bad.Length))
		t.pick.BlockFailed(bad)
		if !beside {
			t.banLocked(p.senders[i], p.index)
		}
	}
	if !found {
		t.beginTrialLocked(p.failedPiece) // the bad bytes lie after the end of the file
	}
	t.refillOthersLocked()
	return nil
}

// parkedAgainLocked asks the next peer for the block hashes of a piece. If there is none,
// the whole piece is requested again.
func (t *Torrent) parkedAgainLocked(p *parkedPiece) {
	if t.askBlockHashesLocked(p) {
		return
	}
	delete(t.bad.parked, p.index)
	t.beginTrialLocked(p.failedPiece)
	t.refillOthersLocked()
}

// tickParkedLocked asks the next peer for block hashes if the last one has left or has not
// answered in time.
func (t *Torrent) tickParkedLocked(now time.Time) {
	for _, p := range t.bad.parked {
		if p.asked.end.gone || now.Sub(p.at) > blockHashTimeout {
			t.parkedAgainLocked(p)
		}
	}
}
