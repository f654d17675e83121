package torrent

import (
	"crypto/sha1"
	"net/netip"

	"spate/merkle"
	"spate/torrent/internal/picker"
)

// Who sent bad data is found in three ways. A peer that sent all of a piece that
// failed is guilty. Of several, the hashes of the blocks name those who lied,
// where there is a v2 half and somebody gives them (BEP 52, leaves.go). Else the
// piece is fetched again, and when it is good, it is compared with what was sent
// before.

// failedPiece is what is known of a piece that failed its hash.
type failedPiece struct {
	index       int
	senders     []netip.AddrPort        // by block
	sums        [][sha1.Size]byte       // of the blocks
	blockHashes [][merkle.HashSize]byte // of the blocks of the file; nil without a v2 half
}

func (f *failedPiece) sentBy(addr netip.AddrPort) bool {
	for _, s := range f.senders {
		if s == addr {
			return true
		}
	}
	return false
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

// pieceFailed takes a piece back whose hash is wrong.
func (t *Torrent) pieceFailed(w completePiece, leaves [][merkle.HashSize]byte) {
	fp := failedPiece{index: w.index, blockHashes: leaves}
	for b := w.data; len(b) > 0; b = b[min(len(b), picker.BlockSize):] {
		fp.sums = append(fp.sums, sha1.Sum(b[:min(len(b), picker.BlockSize)]))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != StateDownloading {
		return
	}
	t.log.Info("piece failed its hash", "piece", w.index)
	alone := true
	for i := range fp.sums {
		id, _ := t.pick.Contributor(t.pick.BlockAt(w.index, i))
		fp.senders = append(fp.senders, t.addrOfLocked(id))
		alone = alone && fp.senders[i] == fp.senders[0]
	}
	switch {
	case alone:
		t.wasted.Add(t.info.PieceSize(w.index))
		t.pick.Failed(nil, w.index)
		t.banLocked(fp.senders[0])
	case t.parkLocked(fp):
		return
	default:
		t.unblamedLocked(fp)
	}
	t.refillOthersLocked()
}

// unblamedLocked wants all of a piece again. Whose fault it was turns out later.
func (t *Torrent) unblamedLocked(fp failedPiece) {
	t.wasted.Add(t.info.PieceSize(fp.index))
	t.pick.Failed(nil, fp.index)
	tr := t.trialLocked(fp.index)
	if tr == nil {
		return
	}
	for i, from := range fp.senders {
		at := int32(i * picker.BlockSize)
		if len(tr.blocks[at]) < 8 {
			tr.blocks[at] = append(tr.blocks[at], testimony{from, fp.sums[i]})
		}
	}
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
func (t *Torrent) clearLocked(w completePiece) {
	tr := t.suspects[w.index]
	if tr == nil {
		return
	}
	delete(t.suspects, w.index)
	for at, all := range tr.blocks {
		good := sha1.Sum(w.data[at:min(int(at)+picker.BlockSize, len(w.data))])
		for _, said := range all {
			if said.sum != good {
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
