package torrent

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"spate/internal/lanes"
	"spate/merkle"
	"spate/peerwire"
	"spate/torrent/internal/picker"
)

// wholePiece is a piece whose blocks are all in its buffer. The buffer belongs
// to whoever holds the wholePiece until the picker is told of the outcome.
type wholePiece struct {
	index int
	data  []byte
}

// haveDelay is how long a verified piece waits for others to be told together.
const haveDelay = 50 * time.Millisecond

// finishWhole hashes the pieces that the connection completed while they are
// warm, two at a time where that is faster, writes them, and says so.
func (c *conn) finishWhole() {
	if len(c.whole) == 0 {
		return
	}
	for i := range c.whole {
		w := &c.whole[i]
		for len(c.digests) <= i {
			c.digests = append(c.digests, new(lanes.SHA1))
		}
		c.digests[i].Reset()
		c.parts = append(c.parts, w.data)
	}
	if c.t.info.HasV1() {
		lanes.WriteSHA1(c.digests[:len(c.whole)], c.parts)
	}
	for i := range c.whole {
		var sum [sha1.Size]byte
		if c.t.info.HasV1() {
			sum = c.digests[i].Sum()
		}
		c.t.finishSummed(c.whole[i], sum)
	}
	clear(c.parts)
	c.parts, c.whole = c.parts[:0], c.whole[:0]
}

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
	good, err := t.matchesSum(w.index, w.data, sum)
	if err != nil {
		t.fail(err)
		return
	}
	if !good {
		t.pieceFailed(w)
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
	t.pick.Verified(w.index)
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

// ErrHalves is the cause when a hybrid torrent halts because its v1 and its v2
// half describe different data: whoever made it did so on purpose.
var ErrHalves = errors.New("the v1 and v2 halves of the torrent describe different data")

// matches reports whether data is what the metainfo says of the piece: by the v1
// hash where there is one (BEP 3), and by its merkle root where that is known
// (BEP 52). Of a hybrid both must hold; one alone is an error wrapping ErrHalves.
func (t *Torrent) matches(piece int, data []byte) (bool, error) {
	if !t.info.HasV1() {
		return t.matchesV2(piece, data), nil
	}
	return t.matchesSum(piece, data, sha1.Sum(data))
}

// matchesSum is matches for data whose SHA-1 is known.
func (t *Torrent) matchesSum(piece int, data []byte, sum [sha1.Size]byte) (bool, error) {
	if !t.info.HasV1() {
		return t.matchesV2(piece, data), nil
	}
	good := sum == t.info.PieceHashV1(piece)
	if t.hash2.IsZero() || !good {
		return good, nil
	}
	if !t.matchesV2(piece, data) {
		return false, fmt.Errorf("piece %d: %w", piece, ErrHalves)
	}
	return true, nil
}

func (t *Torrent) matchesV2(piece int, data []byte) bool {
	at := int64(piece) * t.info.PieceLength
	f := &t.info.Files[t.info.FileAt(at)]
	layer := t.mi.PieceLayer(f)
	n := int((at - f.Offset) / t.info.PieceLength)
	if len(layer) < merkle.HashSize*(n+1) {
		return false // not in the metainfo
	}
	data = data[:min(int64(len(data)), f.Offset+f.Length-at)] // the rest is padding
	blocks := make([][]byte, 0, (len(data)+merkle.BlockSize-1)/merkle.BlockSize)
	for len(data) > 0 {
		size := min(len(data), merkle.BlockSize)
		blocks = append(blocks, data[:size])
		data = data[size:]
	}
	leaves := make([][merkle.HashSize]byte, len(blocks))
	lanes.SumSHA256(leaves, blocks)
	tree := merkle.NewBuilder(0)
	for i := range leaves {
		tree.Add(&leaves[i])
	}
	root := tree.Root()
	if f.Length > t.info.PieceLength {
		root = tree.RootAt(merkle.Layer(t.info.PieceLength))
	}
	return root == [merkle.HashSize]byte(layer[merkle.HashSize*n:])
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

// trial remembers who sent which block of a piece that failed, until the piece
// is whole and shows whose blocks were bad.
type trial struct {
	blocks map[int32][]testimony // by where the block begins
}

type testimony struct {
	from netip.AddrPort
	sum  [sha1.Size]byte
}

// Bounds of what is remembered of failed pieces and of those who sent them.
const (
	maxTrials = 64
	maxBanned = 100
)

// pieceFailed takes a piece back whose hash is wrong. A peer that sent all of it
// is banned at once; of several, those whose blocks prove bad later.
func (t *Torrent) pieceFailed(w wholePiece) {
	t.wasted.Add(int64(len(w.data)))
	var sums [][sha1.Size]byte
	for b := w.data; len(b) > 0; b = b[min(len(b), picker.BlockSize):] {
		sums = append(sums, sha1.Sum(b[:min(len(b), picker.BlockSize)]))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != StateDownloading {
		return
	}
	senders := make([]netip.AddrPort, len(sums))
	alone := true
	for i := range sums {
		id, _ := t.pick.Contributor(t.pick.BlockAt(w.index, i))
		senders[i] = t.addrOfLocked(id)
		alone = alone && senders[i] == senders[0]
	}
	t.log.Info("piece failed its hash", "piece", w.index)
	t.pick.Failed(nil, w.index)
	if alone {
		t.banLocked(senders[0])
	} else if tr := t.trialLocked(w.index); tr != nil {
		for i, from := range senders {
			at := int32(i * picker.BlockSize)
			if len(tr.blocks[at]) < 8 {
				tr.blocks[at] = append(tr.blocks[at], testimony{from, sums[i]})
			}
		}
	}
	t.refillOthersLocked()
}

func (t *Torrent) trialLocked(piece int) *trial {
	tr := t.suspects[piece]
	if tr == nil && len(t.suspects) < maxTrials {
		tr = &trial{blocks: map[int32][]testimony{}}
		t.suspects[piece] = tr
	}
	return tr
}

// clearLocked holds a piece that is good now against what was sent for it
// before, and bans whoever sent something else.
func (t *Torrent) clearLocked(w wholePiece) {
	tr := t.suspects[w.index]
	if tr == nil {
		return
	}
	delete(t.suspects, w.index)
	for at, all := range tr.blocks {
		good := sha1.Sum(w.data[at:min(int(at)+picker.BlockSize, len(w.data))])
		for _, said := range all {
			if !bytes.Equal(said.sum[:], good[:]) {
				t.banLocked(said.from)
			}
		}
	}
}

// addrOfLocked returns the address of a peer that is, or was until lately,
// connected.
func (t *Torrent) addrOfLocked(id picker.PeerID) netip.AddrPort {
	if int(id) < len(t.conns) && t.conns[id] != nil {
		return t.conns[id].addr
	}
	for _, r := range t.retired {
		if r.id == id {
			return r.addr
		}
	}
	return t.laneNameLocked(id)
}

// banLocked ends the connections to a peer that sent bad data and takes none
// from it any more.
func (t *Torrent) banLocked(addr netip.AddrPort) {
	if t.banWebSeedLocked(addr) || !addr.IsValid() || t.peers.Banned(addr) {
		return
	}
	if len(t.banned) == maxBanned {
		t.banned = t.banned[1:]
	}
	t.banned = append(t.banned, addr)
	t.log.Warn("peer banned: it sent bad data", "peer", addr)
	t.peers.Ban(addr)
	for _, c := range t.conns {
		if c != nil && t.peers.Banned(c.addr) {
			c.dropLocked(errBanned)
		}
	}
}
