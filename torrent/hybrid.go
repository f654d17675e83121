package torrent

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"time"

	"spate/bitfield"
	"spate/internal/hashing"
	"spate/merkle"
)

// A hybrid torrent has v1 and v2 hashes of the same data (BEP 52). In a malicious torrent
// they describe different data. A peer that checks by v2 would ban this side for sending
// data that matches only the v1 hashes. So data that was checked only by v1 is not sent to
// such a peer.
//
// A hybrid that was added by a magnet link has no piece layers at first. Until v2 peers have
// sent the layers, it checks its data only by the v1 hashes, and serves v2 peers only if
// they have no piece layers either. Once it has the layers, it reads its data again and
// checks it by the v2 hashes.

// ErrHybridMismatch is the cause when a hybrid torrent halts because its v1 and v2 hashes
// describe different data.
var ErrHybridMismatch = errors.New("the v1 and v2 hashes of the torrent describe different data")

// verdict is the result of checking a piece by the metainfo.
type verdict struct {
	good        bool
	both        bool                    // checked by all hashes that the torrent has: v1, v2, or both
	blockHashes [][merkle.HashSize]byte // set if the piece was checked by v2
}

// verifyPiece checks a piece by its v1 hash if the torrent has v1 hashes (BEP 3), and by its
// merkle root if that is known (BEP 52). If only one of the two matches, the error wraps
// ErrHybridMismatch; but the v2 hashes beside a v1 torrent are dropped, because its info-hash
// does not cover them. sum is the SHA-1 of data; it is not used without v1 hashes.
func (t *Torrent) verifyPiece(piece int, data []byte, sum [sha1.Size]byte) (verdict, error) {
	tree := t.pieceTree(piece)
	if !t.info.HasV1() {
		good, blockHashes := tree.matches(data)
		return verdict{good, true, blockHashes}, nil
	}
	good := sum == t.info.PieceHashV1(piece)
	if tree.root == nil {
		return verdict{good: good, both: t.hash2.IsZero()}, nil
	}
	good2, blockHashes := tree.matches(data)
	switch {
	case good == good2:
		return verdict{good, true, blockHashes}, nil
	case t.hash2.IsZero():
		t.dropV2Hashes(piece)
		return verdict{good: good, both: true}, nil
	}
	return verdict{}, fmt.Errorf("piece %d: %w", piece, ErrHybridMismatch)
}

// hashBlocks returns the SHA-256 hash of each block of data.
func hashBlocks(data []byte) [][merkle.HashSize]byte {
	blocks := make([][]byte, 0, (len(data)+merkle.BlockSize-1)/merkle.BlockSize)
	for len(data) > 0 {
		size := min(len(data), merkle.BlockSize)
		blocks = append(blocks, data[:size])
		data = data[size:]
	}
	blockHashes := make([][merkle.HashSize]byte, len(blocks))
	hashing.SumSHA256(blockHashes, blocks)
	return blockHashes
}

// v2PendingLocked reports whether the torrent is a hybrid and some of its data may have
// been checked by the v1 hashes only.
func (t *Torrent) v2PendingLocked() bool { return t.v2.bothVerified.Len() > 0 }

// mayServeLocked reports whether the peer may get data. While the check by v2 is pending, a
// v2 peer gets data only if it has no piece layers either, because it then checks by v1.
func (c *conn) mayServeLocked() bool { return !c.peer.v2 || !c.t.v2PendingLocked() || c.hashes.none }

// noteBothVerifiedLocked records whether a new piece was checked by v1 and v2.
func (t *Torrent) noteBothVerifiedLocked(piece int, both bool) {
	if both && t.v2PendingLocked() {
		t.v2.bothVerified.Set(piece)
	}
}

// verifyV2 checks the pieces that were checked only by v1 hashes, once the piece layers have
// arrived. If all are good, v2 peers are served from then on. Otherwise the torrent halts
// with ErrHybridMismatch.
func (t *Torrent) verifyV2() {
	for {
		t.mu.Lock()
		if !t.v2PendingLocked() || t.status.state != StateDownloading && t.status.state != StateSeeding {
			t.mu.Unlock()
			return
		}
		var todo []int
		for i := range t.pick.Bitfield().Ones() {
			if !t.v2.bothVerified.Get(i) {
				todo = append(todo, i)
			}
		}
		if len(todo) == 0 {
			t.v2.bothVerified = bitfield.Bitfield{}
			t.disk.dirty = true // the saved resume data still says that the check by v2 is pending
			t.log.Info("the v1 and v2 hashes of the torrent describe the same data")
			for _, c := range t.peerConns.byID {
				if c != nil && c.peer.v2 {
					c.serveHeldBackLocked()
				}
			}
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()

		good := bitfield.New(t.info.NumPieces())
		t.data.mu.RLock()
		err := t.hashPieces(t.life.ctx, todo, good)
		t.data.mu.RUnlock()
		t.mu.Lock()
		for _, i := range todo {
			if err == nil && !good.Get(i) {
				err = fmt.Errorf("piece %d has changed on disk", i)
			}
		}
		switch {
		case t.life.ctx.Err() != nil:
		case err != nil:
			t.failLocked(err)
		default:
			for _, i := range todo {
				t.v2.bothVerified.Set(i)
			}
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// serveHeldBackLocked unchokes a peer that could not be served until now.
func (c *conn) serveHeldBackLocked() {
	if c.wire.peerInterested && c.wire.amChoking && c.t.freeSlotLocked(time.Now()) {
		c.unchokeLocked(time.Now())
		c.kickLocked()
	}
}
