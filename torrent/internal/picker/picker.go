package picker

import (
	"errors"

	"spate/bitfield"
)

// BlockSize is the length in bytes of every block but a piece's last (BEP 3).
const BlockSize = 16 << 10

// Limits of a Config.
const (
	MaxPriority   = 7                 // the highest priority of a piece; 0 is not wanted
	NormalPrio    = 4                 // the priority that every piece has at first
	MaxRequesters = 3                 // peers that one block may be asked of at once
	maxPieceSize  = 1<<31 - 1         // bytes
	maxPieces     = 1 << 30           // pieces of one torrent
	defaultOpen   = 64                // MaxOpen of the zero Config
	randomFirst   = 4                 // verified pieces until rarest first begins
	none          = PeerID(1<<32 - 1) // no peer
	maxPeerID     = PeerID(1<<20 - 1) // bounds the table of peers
	paroleRounds  = 3                 // failures of a piece until parole is given up
	probes        = 8                 // random tries in a bucket before it is walked
	walkBudget    = 512               // steps along the order before the bitmaps are scanned
)

// Block names a part of a piece, as a request does (BEP 3). Begin and Length are
// bytes; Begin is a multiple of BlockSize.
type Block struct{ Piece, Begin, Length int32 }

// PeerID is the caller's handle of a peer: a small, dense number below 1<<20. It
// may go to another peer when [Picker.Reusable] says so.
type PeerID uint32

// Config describes the torrent.
type Config struct {
	NumPieces int             // at least 1
	PieceSize func(i int) int // bytes of piece i, at least 1 and below 2 GiB; must not change
	Seed      uint64          // of the random choices; equal seeds and calls give equal picks
	MaxOpen   int             // pieces open at once, which bounds the engine's buffers; 0: 64
}

// Picker is described in the package comment. Make one with [New].
type Picker struct {
	todo int
}

// ErrConfig is the error for a Config that is out of its bounds.
var ErrConfig = errors.New("picker: configuration out of bounds")

// New returns the picker of a torrent of which we have nothing and want
// everything, with no peers. The error wraps [ErrConfig].
func New(c Config) (*Picker, error) { panic("soon") }

// Have tells whether piece i is verified.
func (k *Picker) Have(i int) bool { panic("soon") }

// HaveCount is the number of verified pieces.
func (k *Picker) HaveCount() int { panic("soon") }

// Bitfield returns the verified pieces: the picker's own, not to be changed, and
// valid under the caller's lock only.
func (k *Picker) Bitfield() bitfield.Bitfield { panic("soon") }

// Wanted is the number of pieces that have a priority above 0 and are not
// verified.
func (k *Picker) Wanted() int { panic("soon") }

// Complete tells that every wanted piece is verified.
func (k *Picker) Complete() bool { panic("soon") }

// Unrequested is the number of wanted blocks that are neither requested nor
// here, whether or not a peer has them.
func (k *Picker) Unrequested() int { panic("soon") }

// Endgame tells that every wanted block that a peer has is requested or here,
// and that something is still missing.
func (k *Picker) Endgame() bool { panic("soon") }

// Full tells that MaxOpen pieces are open. A Pick that gave nothing then may
// give something after [Picker.Evict].
func (k *Picker) Full() bool { panic("soon") }

// Generation changes when blocks became pickable that were not: after an
// Abandon, a failed piece, a closed slot, a change of priorities. A caller whose
// Pick gave nothing need not call again for that peer before the generation
// changes or the peer has more pieces; in the endgame it may.
func (k *Picker) Generation() uint32 { panic("soon") }

// Slot is the slot of an open piece, in [0, MaxOpen); -1 for other pieces. A
// piece that is complete and not yet hashed is open.
func (k *Picker) Slot(piece int) int { panic("soon") }

// BlocksOf is the number of blocks of piece i.
func (k *Picker) BlocksOf(i int) int { panic("soon") }

// BlockAt returns block n of piece i.
func (k *Picker) BlockAt(i, n int) Block { panic("soon") }

// --- pieces

// SetHave marks every piece that is set in have as verified and the others as
// missing, as resume data or a check of the files says. No piece may be open.
func (k *Picker) SetHave(have bitfield.Bitfield) { panic("soon") }

// HaveAll is SetHave with everything.
func (k *Picker) HaveAll() { panic("soon") }

// Priority is the priority of piece i.
func (k *Picker) Priority(i int) int { panic("soon") }

// SetPriority sets the priority of the pieces from <= i < to, 0 (not wanted) to
// MaxPriority. An open piece that is no longer wanted is not picked any more;
// blocks of it that are outstanding are still taken.
func (k *Picker) SetPriority(from, to, prio int) { panic("soon") }

// SetUrgent replaces the set of urgent pieces, most urgent first, at most
// MaxUrgent of them; for a reader that waits (streaming). Urgent pieces are
// picked before all others, shared by all peers, and leave the set when they
// are verified. Pieces that we have or do not want are passed over.
func (k *Picker) SetUrgent(pieces []int) { panic("soon") }

// Verified says that piece i is good: open and hashed, or found so on disk. The
// others of the caller's peers lose interest: see [Picker.Interest].
func (k *Picker) Verified(i int) { panic("soon") }

// Failed says that the open piece i does not match its hash. It is wanted again,
// and its slot is free. Appended to dst: the peers that sent blocks of it, each
// once. With more than one of them the piece is on parole: the next time it is
// given to one peer alone where that can be, so that either the liar stands
// alone or the comparison of blocks finds it.
func (k *Picker) Failed(dst []PeerID, i int) []PeerID { panic("soon") }

// Lost says that piece i, verified before, is not on disk any more.
func (k *Picker) Lost(i int) { panic("soon") }

// Evict closes an open piece that has no request outstanding and that p does not
// have, so that p can be given another one: one that no peer can complete
// first, then the one with the fewest blocks. Its blocks are forgotten; the
// engine drops its buffer. Use it when Pick gave nothing and Full.
func (k *Picker) Evict(p PeerID) (piece int, ok bool) { panic("soon") }

// --- peers

// PeerJoined adds peer p with what it has. The picker keeps have and updates it
// from now on; the caller may read it and no longer changes it. A full bitfield
// makes a seed. Its length is NumPieces, or PeerJoined panics.
func (k *Picker) PeerJoined(p PeerID, have bitfield.Bitfield) { panic("soon") }

// SeedJoined adds a peer that has everything (BEP 6 have all) at no memory.
func (k *Picker) SeedJoined(p PeerID) { panic("soon") }

// PeerHave says that p now has piece i. It returns false when p had it before or
// i is no piece. O(1).
func (k *Picker) PeerHave(p PeerID, i int) bool { panic("soon") }

// PeerDontHave takes a PeerHave back (BEP 54).
func (k *Picker) PeerDontHave(p PeerID, i int) bool { panic("soon") }

// PeerLeft abandons the requests of p and removes it. Blocks that it sent, and
// those that it is copying, keep its name until their piece is done.
func (k *Picker) PeerLeft(p PeerID) { panic("soon") }

// PeerHas tells whether p has piece i.
func (k *Picker) PeerHas(p PeerID, i int) bool { panic("soon") }

// PeerIsSeed tells whether p has every piece.
func (k *Picker) PeerIsSeed(p PeerID) bool { panic("soon") }

// PeerHaveCount is the number of pieces that p has.
func (k *Picker) PeerHaveCount(p PeerID) int { panic("soon") }

// Interest is the number of wanted pieces that p has and we have not; we are
// interested (BEP 3) while it is above 0. O(1) at any time: PeerHave, Verified,
// SetPriority and the like keep it. After a Verified the engine asks it for each
// peer that it tells of the piece.
func (k *Picker) Interest(p PeerID) int { panic("soon") }

// PendingOf is the number of blocks that are requested of p and neither claimed
// nor abandoned.
func (k *Picker) PendingOf(p PeerID) int { panic("soon") }

// Reusable tells that p has left and no block of an open piece names it, so that
// the handle may go to another peer.
func (k *Picker) Reusable(p PeerID) bool { panic("soon") }

// Availability is the number of peers, seeds included, that have piece i.
func (k *Picker) Availability(i int) int { panic("soon") }

// Seeds is the number of peers that have every piece.
func (k *Picker) Seeds() int { panic("soon") }

// --- blocks

// MaxUrgent bounds the urgent set.
const MaxUrgent = 256

// PickOptions say how a peer is used.
type PickOptions struct {
	WholePieces bool    // a fast peer: pieces of its own
	Sequential  bool    // new pieces in their order instead of the rarest
	Adjacent    bool    // a new piece is the one after the peer's last if it can be (web seeds)
	Endgame     bool    // may be given blocks that are outstanding elsewhere, in the endgame
	Requesters  int     // peers a block in the endgame: 0 is 2; 3 when those who were asked are very slow
	UrgentTwice bool    // may also be given urgent blocks that are outstanding elsewhere
	NoUrgent    bool    // too slow for urgent pieces
	Only        []int32 // if not nil, nothing but these pieces (allowed fast while choked, BEP 6)
	Suggested   []int32 // pieces to prefer when a new one is opened (BEP 6)
}

// Pick appends to dst up to n blocks to request of p now, marks them requested,
// and returns dst. Blocks of one piece follow each other in ascending order.
func (k *Picker) Pick(dst []Block, p PeerID, n int, opt PickOptions) []Block { panic("soon") }

// ClaimResult is the answer of [Picker.Claim].
type ClaimResult uint8

// What is to be done with a block that arrives.
const (
	Fresh     ClaimResult = iota // copy it, then call Arrived (or Abandon when the copy failed)
	Duplicate                    // here already or being copied: drop it, count it as waste
	Unwanted                     // no such block, or its piece is not open: drop it
)

// Claim is called when block b of p begins to arrive. Only one caller gets Fresh
// for a block until it is abandoned; that caller alone may write its bytes. p's
// own request ends in every case. A block that p was not asked for (or no longer
// is) can be Fresh too, if it is still needed.
func (k *Picker) Claim(b Block, p PeerID) ClaimResult { panic("soon") }

// Arrived ends a Fresh claim: the bytes of b are in the buffer. complete tells
// that it was the piece's last block: hash it, then call Verified or Failed.
// others are the peers that were asked for b as well: their requests have
// ended, send them cancel. others is valid until the next call.
func (k *Picker) Arrived(b Block, p PeerID) (complete bool, others []PeerID) { panic("soon") }

// Abandon says that p will not send b (reject, timeout), or that its Fresh claim
// came to nothing. It returns false if b was neither requested of p nor claimed
// by it.
func (k *Picker) Abandon(b Block, p PeerID) bool { panic("soon") }

// AbandonAll abandons all requests of p (choke) and returns their number. Claims
// stay: who copies ends them.
func (k *Picker) AbandonAll(p PeerID) int { panic("soon") }

// BlockFailed says that the arrived block b of an open piece is bad by itself
// (BEP 52 leaf hash): it is wanted again. It returns who sent it.
func (k *Picker) BlockFailed(b Block) (PeerID, bool) { panic("soon") }

// Contributor returns who sent block b of an open piece.
func (k *Picker) Contributor(b Block) (PeerID, bool) { panic("soon") }

// Requested tells whether b is requested of p and outstanding.
func (k *Picker) Requested(b Block, p PeerID) bool { panic("soon") }
