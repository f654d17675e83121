package picker

import (
	"fmt"
	"math/bits"

	"spate/bitfield"
)

// PeerID is the caller's handle of a peer: a small, dense number below
// MaxPeers. It may go to another peer when [Picker.Reusable] says so.
type PeerID uint32

// MaxPeers bounds the handles, and with them the table of peers.
const MaxPeers = 1 << 20

// none is no peer.
const none = PeerID(1<<32 - 1)

// peer is what the picker knows of one peer.
type peer struct {
	have       bitfield.Bitfield // of length 0 for a seed
	count      int32             // pieces that it has
	joined     bool
	seed       bool
	index      int32 // in Picker.partial
	pending    int32 // requests outstanding
	claimed    int32 // blocks of open pieces that it sent or copies
	lastSlot   int32 // the slot that it worked on last: a hint, -1 for none
	lastOpened int32 // the piece that it opened last, -1 for none

	interest      int32  // wanted pieces that it has, of a peer that is no seed,
	interestEpoch uint32 // valid while this is the picker's wantEpoch
	emptyLevels   uint8  // levels that have nothing free for it,
	emptyGen      uint32 // valid while this is the picker's freeGen
}

func (pe *peer) has(i int) bool {
	return pe.seed || pe.have.Get(i)
}

// peer returns the joined peer p, or nil.
func (k *Picker) peer(p PeerID) *peer {
	if int(p) >= len(k.peers) || !k.peers[p].joined {
		return nil
	}
	return &k.peers[p]
}

// join returns peer p with nothing known of its pieces.
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

// PeerJoined adds peer p with what it has, or replaces what p has if it joined
// before. The picker keeps have and updates it from now on; the caller may read
// it and no longer changes it. A full bitfield makes a seed. Its length is
// NumPieces, or PeerJoined panics.
func (k *Picker) PeerJoined(p PeerID, have bitfield.Bitfield) {
	if have.Len() != k.numPieces {
		panic(fmt.Sprintf("picker: bitfield of %d pieces for a torrent of %d", have.Len(), k.numPieces))
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

// SeedJoined adds a peer that has everything (BEP 6 have all) at no memory, or
// makes p one.
func (k *Picker) SeedJoined(p PeerID) {
	pe := k.join(p)
	pe.seed, pe.count = true, int32(k.numPieces)
	k.seeds++
}

// forgetPieces takes what p has out of all counts.
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

// countAll counts a bitfield that has count bits: piece by piece if they are
// few, else without the orders.
func (k *Picker) countBitfield(have bitfield.Bitfield, count int, one func(int), by int32) {
	if count <= fewPieces {
		for i := range setBits(have.Bytes()) {
			one(i)
		}
		return
	}
	k.markStale()
	for i := range setBits(have.Bytes()) {
		k.avail[i] += by
	}
}

// PeerHave says that p now has piece i. It returns false when p had it before or
// i is no piece. O(1), but for the piece that makes p a seed.
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
		pe.interest++ // a stale one is counted again anyway
		k.generation++
	}
	return true
}

// PeerDontHave takes a PeerHave back (BEP 54). Requests that are outstanding
// stay: the caller abandons them.
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

// PeerLeft abandons the requests of p and removes it. Blocks that it sent, and
// those that it is copying, keep its name until their piece is done.
func (k *Picker) PeerLeft(p PeerID) {
	if pe := k.peer(p); pe != nil {
		k.AbandonAll(p)
		k.removePieces(p)
		pe.joined = false
	}
}

// PeerHas tells whether p has piece i.
func (k *Picker) PeerHas(p PeerID, i int) bool {
	pe := k.peer(p)
	return pe != nil && uint(i) < uint(k.numPieces) && pe.has(i)
}

// PeerIsSeed tells whether p has every piece.
func (k *Picker) PeerIsSeed(p PeerID) bool {
	pe := k.peer(p)
	return pe != nil && pe.seed
}

// PeerHaveCount is the number of pieces that p has.
func (k *Picker) PeerHaveCount(p PeerID) int {
	if pe := k.peer(p); pe != nil {
		return int(pe.count)
	}
	return 0
}

// Interest is the number of wanted pieces that p has and we have not; we are
// interested (BEP 3) while it is above 0. O(1): PeerHave, Verified and Lost keep
// it; after changes of priorities it is counted anew when asked, 64 pieces at a
// time. After a Verified the engine asks it for each peer that it tells of the
// piece.
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

// PendingOf is the number of blocks that are requested of p and neither claimed
// nor abandoned.
func (k *Picker) PendingOf(p PeerID) int {
	if int(p) >= len(k.peers) {
		return 0
	}
	return int(k.peers[p].pending)
}

// Reusable tells that p has left and no block of an open piece names it, so that
// the handle may go to another peer.
func (k *Picker) Reusable(p PeerID) bool {
	return int(p) >= len(k.peers) || !k.peers[p].joined && k.peers[p].claimed == 0
}

// Availability is the number of peers, seeds included, that have piece i.
func (k *Picker) Availability(i int) int { return int(k.avail[i]) + k.seeds }

// Seeds is the number of peers that have every piece.
func (k *Picker) Seeds() int { return k.seeds }
