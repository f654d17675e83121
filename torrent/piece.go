package torrent

import (
	"crypto/sha1"
	"time"

	"spate/peerwire"
	"spate/torrent/internal/picker"
)

// completePiece is a piece with all its blocks. Its holder owns data until it has told the
// picker whether the piece is good.
type completePiece struct {
	index int
	data  []byte
}

// pieceState holds the incomplete pieces of a torrent, and the complete ones that are not
// announced yet. Torrent.mu guards it.
type pieceState struct {
	bufs      [][]byte       // buffers of incomplete pieces, by slot of the picker; as long as the largest slot that was used
	mostOpen  int            // how many pieces may be incomplete at the same time; 0 when the torrent is complete
	slab      []byte         // memory for further buffers
	haves     []uint32       // verified pieces that tellHaves will announce
	haveTimer *time.Timer    // calls tellHaves
	picked    []picker.Block // reused by refillLocked
}

// haveDelay is how long have messages are collected before they are sent.
const haveDelay = 50 * time.Millisecond

// finishPiece hashes one piece, writes it and announces it.
func (t *Torrent) finishPiece(w completePiece) {
	var sum [sha1.Size]byte
	if t.info.HasV1() {
		sum = sha1.Sum(w.data)
	}
	t.finishSummed(w, sum)
}

// finishSummed verifies a piece, whose SHA-1 is sum, writes it and marks it as verified in
// the picker.
func (t *Torrent) finishSummed(w completePiece, sum [sha1.Size]byte) {
	v, err := t.verifyPiece(w.index, w.data, sum)
	if err != nil {
		t.fail(err)
		return
	}
	if !v.good {
		t.pieceFailed(w, v.blockHashes)
		return
	}
	err = t.writePiece(w)
	t.mu.Lock()
	if t.status.state != StateDownloading {
		t.mu.Unlock()
		return
	}
	if err != nil {
		t.pick.Failed(nil, w.index)
		t.failLocked(err)
		t.mu.Unlock()
		return
	}
	t.endTrialLocked(w)
	full := t.pick.Full()
	t.pick.Verified(w.index)
	if full { // peers that had to wait for an open piece request again
		t.refillOthersLocked()
	}
	t.noteBothVerifiedLocked(w.index, v.both)
	t.emitLocked(Event{Kind: EventPiece, Piece: w.index})
	t.status.bytesDone += t.wantedBytes(w.index)
	t.disk.dirty = true
	t.pieces.haves = append(t.pieces.haves, uint32(w.index))
	if t.pieces.haveTimer == nil {
		t.pieces.haveTimer = time.AfterFunc(haveDelay, t.tellHaves)
	} else if len(t.pieces.haves) == 1 {
		t.pieces.haveTimer.Reset(haveDelay)
	}
	complete := t.completeLocked()
	t.mu.Unlock()
	if complete {
		t.tellHaves()
		t.finished()
	}
}

// tellHaves sends have messages for the pieces that were verified since the last call, to
// all peers except seeds.
func (t *Torrent) tellHaves() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.peerConns.byID {
		if c == nil {
			continue
		}
		for _, p := range t.pieces.haves {
			if !t.pick.PeerIsSeed(c.id) {
				c.tx.control = peerwire.AppendIndexed(c.tx.control, peerwire.Have, p)
			}
		}
		c.updateInterestLocked()
		c.kickLocked()
	}
	t.pieces.haves = t.pieces.haves[:0]
}
