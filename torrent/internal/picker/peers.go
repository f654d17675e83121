package picker

import (
	"fmt"
	"math/bits"

	"spate/bitfield"
	"spate/internal/units"
)

// PeerID identifies a peer of the Picker. The engine chooses small numbers below
// MaxPeers, because they index a table. It may give the number of a peer that
// left to another peer when [Picker.Reusable] returns true.
type PeerID uint32

// MaxPeers is the number of peers that a Picker can distinguish.
const MaxPeers = 1 << 20

// none is the PeerID that stands for no peer.
const none = PeerID(1<<32 - 1)

// peer holds the state of a peer.
type peer struct {
	have       bitfield.Bitfield // pieces of the peer; length 0 for a seed
	count      int32             // number of pieces of the peer
	joined     bool              // SeedJoined or PeerJoined added the peer, and it has not left
	seed       bool              // the peer has all pieces
	index      int32             // the index in Picker.leechers
	pending    int32             // blocks that are requested from the peer
	claimed    int32             // blocks of open pieces that the peer sent or is sending
	lastSlot   int32             // the slot whose blocks Pick last returned, or -1
	lastOpened int32             // the piece that the peer opened last, or -1

	// interest is the number of wanted pieces that a leecher has. It is out of date
	// if interestEpoch is not Picker.wantEpoch.
	interest      int32
	interestEpoch uint32

	// emptyLevels has a bit for each level without a free piece that the peer has. It
	// is out of date if emptyGen is not Picker.freeGen.
	emptyLevels uint8
	emptyGen    uint32
}

// has reports whether the peer has piece i.
func (pe *peer) has(i int) bool {
	return pe.seed || pe.have.Get(i)
}

// peer returns the state of peer p, or nil if p has not joined.
func (k *Picker) peer(p PeerID) *peer {
	if int(p) >= len(k.peers) || !k.peers[p].joined {
		return nil
	}
	return &k.peers[p]
}

// join adds peer p without pieces, or removes its pieces if it joined before, and
// returns its state.
func (k *Picker) join(p PeerID) *peer {
	if p >= MaxPeers {
		panic(fmt.Sprintf("picker: peer %d", p))
	}
	for int(p) >= len(k.peers) {
		k.peers = append(k.peers, peer{lastSlot: -1, lastOpened: -1})
	}
	pe := &k.peers[p]
	if pe.joined {
		k.removePieces(p)
	} else {
		pe.lastSlot, pe.lastOpened, pe.joined = -1, -1, true
	}
	pe.emptyLevels = 0
	k.generation++
	return pe
}

// PeerJoined adds peer p with the pieces that are set in have, or replaces the
// pieces of p if it joined before. The Picker keeps have and updates it, so that
// the caller may read it but must not change it. If all pieces are set, p is a
// seed. PeerJoined panics if have has another length than NumPieces.
func (k *Picker) PeerJoined(p PeerID, have bitfield.Bitfield) {
	if have.Len() != k.numPieces {
		panic(fmt.Sprintf("picker: bitfield of %s for a torrent of %d", units.Plural(have.Len(), "piece"), k.numPieces))
	}
	if have.All() {
		k.SeedJoined(p)
		return
	}
	pe := k.join(p)
	pe.have, pe.count = have, int32(have.Count())
	pe.index = int32(len(k.leechers))
	k.leechers = append(k.leechers, p)
	pe.interestEpoch = k.wantEpoch - 1
	k.countBitfield(have, int(pe.count), k.moreAvail, 1)
}

// SeedJoined adds peer p as a seed (have all, BEP 6), or makes it a seed if it
// joined before. The Picker keeps no bitfield of a seed.
func (k *Picker) SeedJoined(p PeerID) {
	pe := k.join(p)
	pe.seed, pe.count = true, int32(k.numPieces)
	k.seeds++
}

// removePieces removes the pieces of p from all counts.
func (k *Picker) removePieces(p PeerID) {
	pe := &k.peers[p]
	if pe.seed {
		pe.seed = false
		k.seeds--
	} else {
		moved := k.leechers[len(k.leechers)-1]
		k.leechers[pe.index] = moved
		k.peers[moved].index = pe.index
		k.leechers = k.leechers[:len(k.leechers)-1]
		k.countBitfield(pe.have, int(pe.count), k.lessAvail, -1)
	}
	pe.have, pe.count = bitfield.Bitfield{}, 0
}

// countBitfield adds by to the availability of the count pieces of a bitfield. It
// calls countOne for each if they are at most fewPieces. Otherwise it makes the
// orders stale, because one rebuild is cheaper.
func (k *Picker) countBitfield(have bitfield.Bitfield, count int, countOne func(int), by int32) {
	if count <= fewPieces {
		for i := range setBits(have.Bytes()) {
			countOne(i)
		}
		return
	}
	k.markStale()
	for i := range setBits(have.Bytes()) {
		k.avail[i] += by
	}
}

// PeerHave records that p now has piece i (have, BEP 3). It returns false if p had
// the piece before, p has not joined, or i is out of range. It costs O(1), except
// when the piece makes p a seed.
func (k *Picker) PeerHave(p PeerID, i int) bool {
	pe := k.peer(p)
	if pe == nil || uint(i) >= uint(k.numPieces) || pe.has(i) {
		return false
	}
	if int(pe.count) == k.numPieces-1 {
		k.SeedJoined(p)
		return true
	}
	pe.have.Set(i)
	pe.count++
	pe.emptyLevels = 0
	k.moreAvail(i)
	if k.want.Get(i) {
		pe.interest++ // if the epoch has changed, Interest counts again
		k.generation++
	}
	return true
}

// PeerDontHave records that p no longer has piece i (lt_donthave, BEP 54). It
// returns false if p did not have it. The caller abandons the requests of the
// piece.
func (k *Picker) PeerDontHave(p PeerID, i int) bool {
	pe := k.peer(p)
	if pe == nil || uint(i) >= uint(k.numPieces) || !pe.has(i) {
		return false
	}
	if pe.seed {
		have := bitfield.New(k.numPieces)
		have.SetAll()
		have.Clear(i)
		k.PeerJoined(p, have)
		return true
	}
	pe.have.Clear(i)
	pe.count--
	k.lessAvail(i)
	if k.want.Get(i) {
		pe.interest--
	}
	return true
}

// PeerLeft abandons the requests of p and removes p. The blocks that it claimed
// keep its PeerID until their piece is closed.
func (k *Picker) PeerLeft(p PeerID) {
	if pe := k.peer(p); pe != nil {
		k.AbandonAll(p)
		k.removePieces(p)
		pe.joined = false
	}
}

// PeerHas reports whether p has piece i.
func (k *Picker) PeerHas(p PeerID, i int) bool {
	pe := k.peer(p)
	return pe != nil && uint(i) < uint(k.numPieces) && pe.has(i)
}

// PeerIsSeed reports whether p has all pieces.
func (k *Picker) PeerIsSeed(p PeerID) bool {
	pe := k.peer(p)
	return pe != nil && pe.seed
}

// PeerHaveCount returns the number of pieces that p has.
func (k *Picker) PeerHaveCount(p PeerID) int {
	if pe := k.peer(p); pe != nil {
		return int(pe.count)
	}
	return 0
}

// Interest returns the number of wanted pieces that p has. The engine is
// interested in p (BEP 3) while it is above 0. It costs O(1), because PeerHave,
// Verified and Lost update the number; only the first call after PeerJoined,
// SetPriority or SetHave counts, 64 pieces at a time.
func (k *Picker) Interest(p PeerID) int {
	pe := k.peer(p)
	switch {
	case pe == nil:
		return 0
	case pe.seed:
		return k.wanted
	case pe.interestEpoch != k.wantEpoch:
		has, want := pe.have.Bytes(), k.want.Bytes()
		n := 0
		for at := 0; at < len(want); at += 8 {
			n += bits.OnesCount64(word(has, at) & word(want, at))
		}
		pe.interest, pe.interestEpoch = int32(n), k.wantEpoch
	}
	return int(pe.interest)
}

// PendingOf returns the number of blocks that are requested from p and that it
// has neither claimed nor abandoned.
func (k *Picker) PendingOf(p PeerID) int {
	if int(p) >= len(k.peers) {
		return 0
	}
	return int(k.peers[p].pending)
}

// Reusable reports whether p has left and has claimed no block of an open piece,
// so that its PeerID can be given to another peer.
func (k *Picker) Reusable(p PeerID) bool {
	return int(p) >= len(k.peers) || !k.peers[p].joined && k.peers[p].claimed == 0
}

// Availability returns the number of peers that have piece i, including seeds.
func (k *Picker) Availability(i int) int { return int(k.avail[i]) + k.seeds }

// Seeds returns the number of peers that are seeds.
func (k *Picker) Seeds() int { return k.seeds }
