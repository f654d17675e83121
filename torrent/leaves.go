package torrent

import (
	"errors"
	"time"

	"spate/merkle"
	"spate/metainfo"
	"spate/peerwire"
)

// The hashes of blocks (BEP 52) are not kept: they are computed from the data of a
// piece when somebody asks, which is after a piece failed. That costs a request of
// 53 bytes the reading of a piece, so it is rationed.
const (
	leafBurst     = 8               // pieces that are hashed for one peer at once
	leafEvery     = 5 * time.Second // and then one in such a time
	leafBusy      = 2               // connections of a session that hash at once
	maxLeafHashed = 128 << 20       // the longest piece that is hashed for others
)

// leafBudget rations what is hashed for one peer. The zero value is the whole
// burst. It is owned by the reader of the connection.
type leafBudget struct {
	spent int
	at    time.Time // when spent was right
}

// take reports whether one more piece may be hashed, and takes note of it.
func (b *leafBudget) take(now time.Time) bool {
	back := int(now.Sub(b.at) / leafEvery)
	if b.at.IsZero() || back >= b.spent {
		b.spent, b.at = 0, now
	} else {
		b.spent -= back
		b.at = b.at.Add(time.Duration(back) * leafEvery)
	}
	if b.spent >= leafBurst {
		return false
	}
	b.spent++
	return true
}

// proveLeaves computes the answer to a request for hashes below the piece layer,
// within one piece that we have.
func (c *conn) proveLeaves(f *metainfo.File, span merkle.Span) ([]byte, bool) {
	t := c.t
	top, blocks := t.pieceLayerOf(f)
	if span.Index > blocks>>span.Base {
		return nil, false
	}
	n := span.Index << span.Base >> top // of the piece in its file
	at := f.Offset + n*t.info.PieceLength
	size := min(t.info.PieceLength, f.Length-n*t.info.PieceLength)
	if size <= merkle.BlockSize || size > maxLeafHashed {
		return nil, false
	}
	t.mu.Lock()
	have := t.pick.Have(int(at/t.info.PieceLength)) && c.servedLocked()
	t.mu.Unlock()
	if !have || !c.leafBudget.take(time.Now()) {
		return nil, false
	}
	select {
	case t.s.leafHashing <- struct{}{}:
		defer func() { <-t.s.leafHashing }()
	default:
		return nil, false
	}
	leaves, err := t.readLeaves(at, size)
	if err != nil {
		t.dataGone(err)
		return nil, false
	}
	hashes, err := merkle.ProveBlocks(nil, leaves, t.MetaInfo().PieceLayer(f), top, blocks, span)
	return hashes, err == nil
}

// readLeaves returns the hashes of the blocks of size bytes of data, read in
// parts.
func (t *Torrent) readLeaves(at, size int64) ([]byte, error) {
	buf := t.s.uploads.Get()
	defer t.s.uploads.Put(buf)
	leaves := make([]byte, 0, (size+merkle.BlockSize-1)/merkle.BlockSize*merkle.HashSize)
	for size > 0 {
		part := buf[:min(int64(len(buf)), size)]
		err := t.s.onDisk(func() error {
			_, err := t.store.ReadAt(part, at)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, h := range leavesOf(part) {
			leaves = append(leaves, h[:]...)
		}
		at, size = at+int64(len(part)), size-int64(len(part))
	}
	return leaves, nil
}

// leafTimeout is how long a peer may take to give the hashes of the blocks of a
// piece that failed.
const leafTimeout = 10 * time.Second

var errWrongHashes = errors.New("the peer sent wrong hashes")

// parkedPiece is a piece that failed although all its blocks came: it waits for
// their hashes, which tell the good from the bad.
type parkedPiece struct {
	failedPiece
	ask   peerwire.HashRange
	at    time.Time      // when it was asked last
	asked *conn          // of whom
	tried map[*conn]bool // those who were asked
}

// parkLocked keeps a piece that failed until the hashes of its blocks are here. It
// returns false when they cannot be had.
func (t *Torrent) parkLocked(fp failedPiece) bool {
	if len(fp.leaves) < 2 || t.pieceRoot(fp.index) == nil || len(t.parked) >= max(1, len(t.bufs)/2) {
		return false
	}
	f, n := t.fileOf(fp.index)
	_, blocks := t.pieceLayerOf(f)
	length := int64(1) << merkle.Layer(t.info.PieceLength)
	if f.Length <= t.info.PieceLength {
		length = 1 << merkle.Height(blocks)
	}
	if length > peerwire.MaxHashes {
		return false
	}
	p := &parkedPiece{failedPiece: fp, tried: map[*conn]bool{}, ask: peerwire.HashRange{
		PiecesRoot: *f.PiecesRoot, Index: uint32(int64(n) * length), Length: uint32(length),
	}}
	if !t.askLeavesLocked(p) {
		return false
	}
	t.parked[fp.index] = p
	return true
}

// askLeavesLocked asks a peer that was not asked yet, of those who have the piece,
// one that sent nothing of it first.
func (t *Torrent) askLeavesLocked(p *parkedPiece) bool {
	var best *conn
	involved := true
	for _, c := range t.conns {
		if c == nil || c.gone || !c.v2 || p.tried[c] || !t.pick.PeerHas(c.id, p.index) {
			continue
		}
		sent := p.sentBy(c.addr)
		if best == nil || involved && !sent {
			best, involved = c, sent
		}
	}
	if best == nil {
		return false
	}
	p.tried[best], p.asked, p.at = true, best, time.Now()
	best.out = peerwire.AppendHashRange(best.out, peerwire.HashRequest, &p.ask, nil)
	best.kickLocked()
	return true
}

func (t *Torrent) parkedFor(r *peerwire.HashRange) *parkedPiece {
	for _, p := range t.parked {
		if p.ask == *r {
			return p
		}
	}
	return nil
}

// leavesLocked takes the hashes of the blocks of a parked piece, or the refusal.
// Good blocks stay, bad ones are wanted again, and who sent them is banned.
func (c *conn) leavesLocked(p *parkedPiece, refused bool, hashes []byte) error {
	t := c.t
	if refused {
		if p.asked == c {
			t.parkedAgainLocked(p)
		}
		return nil
	}
	if len(hashes) != int(p.ask.Length)*merkle.HashSize || merkle.Root(hashes, 0) != [merkle.HashSize]byte(t.pieceRoot(p.index)) {
		if p.tried[c] {
			t.banLocked(c.addr)
			return errWrongHashes
		}
		return nil
	}
	delete(t.parked, p.index)
	found := false
	for i := range p.leaves {
		if p.leaves[i] == [merkle.HashSize]byte(hashes[i*merkle.HashSize:]) {
			continue
		}
		found = true
		bad := t.pick.BlockAt(p.index, i)
		t.wasted.Add(int64(bad.Length))
		t.pick.BlockFailed(bad)
		t.banLocked(p.senders[i])
	}
	if !found {
		t.unblamedLocked(p.failedPiece) // what is wrong lies behind the end of the file
	}
	t.refillOthersLocked()
	return nil
}

// parkedAgainLocked asks the next peer for the hashes of a piece, or gives up: all
// of it is fetched again.
func (t *Torrent) parkedAgainLocked(p *parkedPiece) {
	if t.askLeavesLocked(p) {
		return
	}
	delete(t.parked, p.index)
	t.unblamedLocked(p.failedPiece)
	t.refillOthersLocked()
}

// tickParkedLocked does not wait for those who do not answer.
func (t *Torrent) tickParkedLocked(now time.Time) {
	for _, p := range t.parked {
		if p.asked.gone || now.Sub(p.at) > leafTimeout {
			t.parkedAgainLocked(p)
		}
	}
}
