package torrent

import (
	"crypto/sha1"
	"time"

	"spate/peerwire"
)

// wholePiece is a piece whose blocks are all in its buffer. The buffer belongs
// to whoever holds the wholePiece until the picker is told of the outcome.
type wholePiece struct {
	index int
	data  []byte
}

// haveDelay is how long a verified piece waits for others to be told together.
const haveDelay = 50 * time.Millisecond

// finishPiece hashes one piece, writes it, and says so.
func (t *Torrent) finishPiece(w wholePiece) {
	var sum [sha1.Size]byte
	if t.info.HasV1() {
		sum = sha1.Sum(w.data)
	}
	t.finishSummed(w, sum)
}

// finishSummed judges a piece by its SHA-1 and the rest of the metainfo, writes
// it and tells the picker.
func (t *Torrent) finishSummed(w wholePiece, sum [sha1.Size]byte) {
	v, err := t.judge(w.index, w.data, sum)
	if err != nil {
		t.fail(err)
		return
	}
	if !v.good {
		t.pieceFailed(w, v.leaves)
		return
	}
	err = t.inPlace(func() error {
		_, err := t.store.WriteAt(w.data, int64(w.index)*t.info.PieceLength)
		return err
	})
	t.mu.Lock()
	if t.state != StateDownloading {
		t.mu.Unlock()
		return
	}
	if err != nil {
		t.pick.Failed(nil, w.index)
		t.failLocked(err)
		t.mu.Unlock()
		return
	}
	t.clearLocked(w)
	full := t.pick.Full()
	t.pick.Verified(w.index)
	if full { // who found no place for another piece asks again
		t.refillOthersLocked()
	}
	t.provedLocked(w.index, v.both)
	t.emitLocked(Event{Kind: EventPiece, Piece: w.index})
	t.bytesDone += t.wantedBytes(w.index)
	t.dirty = true
	t.haves = append(t.haves, uint32(w.index))
	if t.haveTimer == nil {
		t.haveTimer = time.AfterFunc(haveDelay, t.tellHaves)
	} else if len(t.haves) == 1 {
		t.haveTimer.Reset(haveDelay)
	}
	complete := t.completeLocked()
	t.mu.Unlock()
	if complete {
		t.tellHaves()
		t.finished()
	}
}

// tellHaves sends have for the pieces that were verified since the last time, to
// the peers that do not have them.
func (t *Torrent) tellHaves() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.conns {
		if c == nil {
			continue
		}
		for _, p := range t.haves {
			if !t.pick.PeerIsSeed(c.id) {
				c.out = peerwire.AppendIndexed(c.out, peerwire.Have, p)
			}
		}
		c.updateInterestLocked()
		c.kickLocked()
	}
	t.haves = t.haves[:0]
}
