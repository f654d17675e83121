package torrent

import (
	"crypto/sha1"
	"net/netip"
	"slices"
	"time"

	"spate/merkle"
	"spate/torrent/internal/picker"
)

// The sender of bad data is found in one of three ways. If a single peer sent all blocks of
// a piece that failed its hash, that peer sent the bad data. If several peers sent blocks of
// the piece and the torrent has v2 hashes, another peer is asked for the hashes of the
// blocks, which show the bad blocks (BEP 52, blockhashes.go). Otherwise the whole piece is
// downloaded again, and the good piece is compared with the blocks that were sent before.
//
// The info-hash of a v1 torrent does not cover the v2 hashes beside it, so these can be wrong
// and accuse honest peers. They choose the blocks that are requested again, but nobody is banned
// until the piece passes its v1 hash: then the good piece shows the bad blocks, and whether the
// v2 hashes were right.

// failedPiece describes a piece that failed its hash.
type failedPiece struct {
	index       int
	senders     []PeerKey               // the sender of each block
	sums        [][sha1.Size]byte       // the SHA-1 of each block
	blockHashes [][merkle.HashSize]byte // the SHA-256 of each block of the file; nil without v2 hashes
	hashers     []PeerKey               // peers whose block hashes do not lead to the root; only for hashes beside a v1 torrent
}

// sentBy reports whether the peer sent a block of the piece.
func (f *failedPiece) sentBy(key PeerKey) bool { return slices.Contains(f.senders, key) }

// badData records the pieces of a torrent that failed their hash, and the peers that sent
// bad data. Torrent.mu guards it.
type badData struct {
	banned   []PeerKey            // the last peers that sent bad data, at most maxBanned
	suspects map[int]*trial       // failed pieces that are downloaded again
	parked   map[int]*parkedPiece // failed pieces that wait for the hashes of their blocks
}

// trial records which peer sent each block of a piece that failed its hash, until a good
// copy of the piece shows which blocks were bad.
type trial struct {
	blocks map[int32][]sentBlock // the key is the offset of the block in the piece
	// hashers are the peers that sent block hashes which do not lead to the root of the piece in
	// the v2 hashes beside a v1 torrent.
	hashers []PeerKey
	rounds  int // how often block hashes chose the blocks that were requested again
}

// sentBlock is the hash of a block and the peer that sent the block.
type sentBlock struct {
	from PeerKey
	sum  [sha1.Size]byte
}

// Bounds of the records about bad data.
const (
	maxTrials     = 64  // pieces in badData.suspects
	maxSentBlocks = 8   // copies of one block in a trial
	maxHashRounds = 3   // trial.rounds, until the whole piece is requested again
	maxBanned     = 100 // peers in badData.banned
)

// pieceFailed handles a piece whose hash is wrong: it bans the sender if only one peer sent
// the piece, and requests the piece, or only its bad blocks, again.
func (t *Torrent) pieceFailed(w completePiece, blockHashes [][merkle.HashSize]byte) {
	fp := failedPiece{index: w.index, blockHashes: blockHashes}
	for b := range slices.Chunk(w.data, picker.BlockSize) {
		fp.sums = append(fp.sums, sha1.Sum(b))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status.state != StateDownloading {
		return
	}
	t.log.Info("piece failed its hash", "piece", w.index)
	onlyOne := true
	for i := range fp.sums {
		id, _ := t.pick.Contributor(t.pick.BlockAt(w.index, i))
		fp.senders = append(fp.senders, t.keyOfLocked(id))
		onlyOne = onlyOne && fp.senders[i] == fp.senders[0]
	}
	switch {
	case onlyOne:
		t.count.wasted.Add(t.info.PieceSize(w.index))
		t.pick.Failed(nil, w.index)
		t.banLocked(fp.senders[0], w.index)
	case t.parkLocked(fp):
		return
	default:
		t.beginTrialLocked(fp)
	}
	t.refillOthersLocked()
}

// beginTrialLocked requests a whole piece again and records which peer sent each block.
func (t *Torrent) beginTrialLocked(fp failedPiece) {
	t.count.wasted.Add(t.info.PieceSize(fp.index))
	t.pick.Failed(nil, fp.index)
	t.suspectLocked(fp)
}

// mayTryLocked reports whether block hashes may choose once more which blocks of a piece are
// requested again, before the piece has shown that they are right.
func (t *Torrent) mayTryLocked(piece int) bool {
	tr := t.bad.suspects[piece]
	return tr != nil && tr.rounds < maxHashRounds || tr == nil && len(t.bad.suspects) < maxTrials
}

// suspectLocked records which peer sent each block of a piece, and returns the record. It returns
// nil if there are too many records.
func (t *Torrent) suspectLocked(fp failedPiece) *trial {
	tr := t.bad.suspects[fp.index]
	if tr == nil && len(t.bad.suspects) >= maxTrials {
		return nil
	}
	if tr == nil {
		tr = &trial{blocks: map[int32][]sentBlock{}}
		t.bad.suspects[fp.index] = tr
	}
	tr.hashers = append(tr.hashers, fp.hashers[:min(len(fp.hashers), maxSentBlocks)]...)
	for i, from := range fp.senders {
		at := int32(i * picker.BlockSize)
		if len(tr.blocks[at]) < maxSentBlocks {
			tr.blocks[at] = append(tr.blocks[at], sentBlock{from, fp.sums[i]})
		}
	}
	return tr
}

// endTrialLocked compares a good piece with the blocks that peers sent of it before, and
// bans each peer whose block differs. It also bans the peers that sent wrong block hashes, if the
// piece matches the v2 hashes.
func (t *Torrent) endTrialLocked(w completePiece) {
	tr := t.bad.suspects[w.index]
	if tr == nil {
		return
	}
	delete(t.bad.suspects, w.index)
	if t.pieceTree(w.index).root != nil { // otherwise dropV2Hashes was called
		for _, key := range tr.hashers {
			t.banLocked(key, w.index)
		}
	}
	for at, sent := range tr.blocks {
		good := sha1.Sum(w.data[at:min(int(at)+picker.BlockSize, len(w.data))])
		for _, b := range sent {
			if b.sum != good {
				t.banLocked(b.from, w.index)
			}
		}
	}
}

// keyOfLocked returns the key of the peer or web seed with a handle of the picker. The peer
// may have left since it sent a block of an open piece.
func (t *Torrent) keyOfLocked(id picker.PeerID) PeerKey {
	if int(id) < len(t.peerConns.byID) && t.peerConns.byID[id] != nil {
		return t.peerConns.byID[id].peer.key
	}
	for _, r := range t.peerConns.retired {
		if r.id == id {
			return r.key
		}
	}
	return t.webSeedOfLocked(id)
}

// banLocked closes the connections to a peer that sent bad data of a piece, and downloads
// nothing more from it. From a web seed only this piece is not downloaded any more.
func (t *Torrent) banLocked(key PeerKey, piece int) {
	if key.WebSeed() != "" {
		t.webSentWrongDataLocked(key, piece)
		return
	}
	if !key.IsValid() || t.peers.Banned(key.Addr()) || slices.Contains(t.bad.banned, key) {
		return
	}
	if len(t.bad.banned) == maxBanned {
		t.bad.banned = t.bad.banned[1:]
	}
	t.bad.banned = append(t.bad.banned, key)
	t.log.Warn("peer banned: it sent bad data", "peer", key)
	if key.Addr().IsValid() {
		for _, l := range t.listsLocked() {
			l.Ban(key.Addr())
		}
	} else {
		t.s.channels.ban(t.sourceOfLocked(key), time.Now())
	}
	for _, c := range t.peerConns.byID {
		if c != nil && (c.peer.key == key || t.peers.Banned(c.peer.addr)) {
			c.dropLocked(errBanned)
		}
	}
}

// sourceOfLocked returns the address from which the packets of a peer come or came.
func (t *Torrent) sourceOfLocked(key PeerKey) netip.Addr {
	for _, c := range t.peerConns.byID {
		if c != nil && c.peer.key == key {
			return c.peer.source().Addr()
		}
	}
	for _, r := range t.peerConns.retired {
		if r.key == key {
			return r.from.Addr()
		}
	}
	return netip.Addr{}
}
