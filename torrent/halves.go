package torrent

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"time"

	"spate/bitfield"
	"spate/internal/hashing"
	"spate/merkle"
	"spate/metainfo"
)

// A hybrid torrent has two halves that ought to describe the same data (BEP 52).
// Whoever made one whose halves differ did so on purpose, so data that was held
// against one half only is not given to those who check it by the other: they
// would ban us for it.
//
// A hybrid that came by a magnet link lacks its piece layers at first. It is
// downloaded by its v1 half meanwhile. Once v2 peers have given the layers, what
// is here is read again and held against them; until then v2 peers get nothing
// but what they need for that.

// ErrHalves is the cause when a hybrid torrent halts because its v1 and its v2
// half describe different data.
var ErrHalves = errors.New("the v1 and v2 halves of the torrent describe different data")

// verdict says what the metainfo says of a piece.
type verdict struct {
	good   bool
	both   bool                    // by every half that the torrent has
	leaves [][merkle.HashSize]byte // hashes of the blocks; where v2 was looked at
}

// judge holds a piece against the metainfo: by the v1 hash where there is one
// (BEP 3), and by its merkle root where that is known (BEP 52). If only one of
// the two is right the error wraps ErrHalves. sum is the SHA-1 of data; it does
// not matter without a v1 half.
func (t *Torrent) judge(piece int, data []byte, sum [sha1.Size]byte) (verdict, error) {
	if !t.info.HasV1() {
		good, leaves := t.matchesV2(piece, data)
		return verdict{good, true, leaves}, nil
	}
	good := sum == t.info.PieceHashV1(piece)
	if t.hash2.IsZero() {
		return verdict{good: good, both: true}, nil
	}
	if t.pieceRoot(piece) == nil {
		return verdict{good: good}, nil
	}
	good2, leaves := t.matchesV2(piece, data)
	if good != good2 {
		return verdict{}, fmt.Errorf("piece %d: %w", piece, ErrHalves)
	}
	return verdict{good, true, leaves}, nil
}

// fileOf returns the file of a piece of a torrent with a v2 half, and the number
// that the piece has in it.
func (t *Torrent) fileOf(piece int) (*metainfo.File, int) {
	at := int64(piece) * t.info.PieceLength
	f := &t.info.Files[t.info.FileAt(at)]
	return f, int((at - f.Offset) / t.info.PieceLength)
}

// pieceRoot returns the v2 hash of a piece, nil where it is not known.
func (t *Torrent) pieceRoot(piece int) []byte {
	f, n := t.fileOf(piece)
	layer := t.MetaInfo().PieceLayer(f)
	if len(layer) < merkle.HashSize*(n+1) {
		return nil
	}
	return layer[merkle.HashSize*n : merkle.HashSize*(n+1)]
}

// matchesV2 holds a piece against its merkle root, and returns the hashes of its
// blocks too. What is behind the end of the file must be zeros.
func (t *Torrent) matchesV2(piece int, data []byte) (bool, [][merkle.HashSize]byte) {
	f, n := t.fileOf(piece)
	size := min(int64(len(data)), f.Length-int64(n)*t.info.PieceLength)
	leaves := leavesOf(data[:size])
	root := t.pieceRoot(piece)
	if root == nil {
		return false, leaves
	}
	for _, b := range data[size:] {
		if b != 0 {
			return false, leaves
		}
	}
	tree := merkle.NewBuilder(0)
	for i := range leaves {
		tree.Add(&leaves[i])
	}
	sum := tree.Root()
	if f.Length > t.info.PieceLength {
		sum = tree.RootAt(merkle.Layer(t.info.PieceLength))
	}
	return sum == [merkle.HashSize]byte(root), leaves
}

// leavesOf returns the hashes of the blocks of data.
func leavesOf(data []byte) [][merkle.HashSize]byte {
	blocks := make([][]byte, 0, (len(data)+merkle.BlockSize-1)/merkle.BlockSize)
	for len(data) > 0 {
		size := min(len(data), merkle.BlockSize)
		blocks = append(blocks, data[:size])
		data = data[size:]
	}
	leaves := make([][merkle.HashSize]byte, len(blocks))
	hashing.SumSHA256(leaves, blocks)
	return leaves
}

// halfKnownLocked reports whether the torrent is a hybrid of which some data may
// have been held against its v1 half only.
func (t *Torrent) halfKnownLocked() bool { return t.proved.Len() > 0 }

// servedLocked reports whether the peer may have what we have. A v2 peer of a
// torrent that is half known may not, unless it has no piece hashes either: then
// it too checks by the v1 half.
func (c *conn) servedLocked() bool { return !c.v2 || !c.t.halfKnownLocked() || c.noHashes }

// provedLocked notes how a piece was checked that we have now.
func (t *Torrent) provedLocked(piece int, both bool) {
	if both && t.halfKnownLocked() {
		t.proved.Set(piece)
	}
}

// proveHalves holds the pieces that were checked by their v1 hash alone against
// the v2 half, once its piece layers are here. If they are good v2 peers are
// served from then on; else the torrent halts with ErrHalves.
func (t *Torrent) proveHalves() {
	for {
		t.mu.Lock()
		if !t.halfKnownLocked() || t.state != StateDownloading && t.state != StateSeeding {
			t.mu.Unlock()
			return
		}
		var todo []int
		for i := range t.pick.Bitfield().Ones() {
			if !t.proved.Get(i) {
				todo = append(todo, i)
			}
		}
		if len(todo) == 0 {
			t.proved = bitfield.Bitfield{}
			t.dirty = true // resume data says that one half is open
			t.log.Info("both halves of the torrent agree")
			for _, c := range t.conns {
				if c != nil && c.v2 {
					c.heldBackLocked()
				}
			}
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()

		good := bitfield.New(t.info.NumPieces())
		t.place.RLock()
		err := t.hashPieces(t.ctx, todo, good)
		t.place.RUnlock()
		t.mu.Lock()
		for _, i := range todo {
			if err == nil && !good.Get(i) {
				err = fmt.Errorf("piece %d has changed on disk", i)
			}
		}
		switch {
		case t.ctx.Err() != nil:
		case err != nil:
			t.failLocked(err)
		default:
			for _, i := range todo {
				t.proved.Set(i)
			}
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// heldBackLocked serves a peer that was not until now.
func (c *conn) heldBackLocked() {
	if c.peerInterested && c.amChoking && c.t.freeSlotLocked(time.Now()) {
		c.unchokeLocked(time.Now())
		c.kickLocked()
	}
}
