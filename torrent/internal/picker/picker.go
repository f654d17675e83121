package picker

import (
	"errors"
	"fmt"
	"math/bits"

	"spate/bitfield"
)

// BlockSize is the length in bytes of every block but a piece's last (BEP 3).
const BlockSize = 16 << 10

// Bounds of what a Picker is told.
const (
	MaxPriority   = 7   // the highest priority of a piece; 0 is not wanted
	NormalPrio    = 4   // the priority that every piece has at first
	MaxRequesters = 3   // peers that one block may be asked of at once
	MaxUrgent     = 256 // pieces in the urgent set
)

const (
	maxPieces         = 1 << 30
	maxPieceSize      = 1<<31 - 1
	maxNodes          = 1 << 31 // slots x blocks of a slot
	defaultMaxOpen    = 64      // MaxOpen of the zero Config
	randomFirst       = 4       // verified pieces until rarest first begins
	maxParole         = 3       // failures of a piece by several peers until parole is given up
	randomTries       = 8       // random tries among all free pieces
	defaultOrderLimit = 512     // pieces looked at along the order before the bitmaps are scanned
	endgameLimit      = 1024    // outstanding blocks looked at in the endgame, beyond the peer's own
	fewPieces         = 64      // pieces of a bitfield that are moved one by one instead of a rebuild
)

// What pos says of a piece that is not free; a free one has its index in the
// order of its level there.
const (
	posNone = -1 // verified, or not wanted and not open
	posOpen = -2 // minus the slot: open
)

// ErrConfig is the error for a Config that is out of its bounds.
var ErrConfig = errors.New("picker: configuration out of bounds")

// Block names a part of a piece, as a request does (BEP 3). Begin and Length are
// bytes; Begin is a multiple of BlockSize.
type Block struct{ Piece, Begin, Length int32 }

// Config describes the torrent.
type Config struct {
	NumPieces int // at least 1

	// PieceSize is the bytes of piece i that are to be fetched, at least 1 and
	// below 2 GiB; always the same. Padding at a piece's end (BEP 47) may be left
	// out as far as it fills whole blocks.
	PieceSize func(i int) int

	Seed uint64 // of the random choices; equal seeds and calls give equal picks

	// MaxOpen is the number of pieces open at once, which bounds the engine's
	// buffers; 0 is 64. Fast peers want one or two each, and more where the
	// requests that a peer has outstanding span several pieces.
	MaxOpen int
}

// Picker is described in the package comment. Make one with [New].
type Picker struct {
	numPieces  int
	pieceSize  func(int) int
	rng        uint64
	generation uint32 // see Generation
	orderLimit int    // walkBudget

	// By piece.
	have  bitfield.Bitfield
	want  bitfield.Bitfield // priority above 0 and not verified
	prio  []uint8
	avail []int32         // peers that have it, without seeds
	pos   []int32         // see posNone
	fails map[int32]uint8 // pieces on parole, and how often they failed

	haveCount, wanted int
	unrequested       int // wanted blocks that are free, of free and of open pieces
	wantEpoch         uint32
	levels            [MaxPriority + 1]level
	freeGen           uint32 // counts pieces that became free
	urgent            []int32
	urgentSet         bitfield.Bitfield // the same; of length 0 until it is used

	// Open pieces.
	slots        []slot
	unusedSlots  []int32 // slots that are unused
	maxOpen      int
	pickable     []int32 // slots of wanted pieces with free blocks
	pickableBy   [MaxPriority + 1]int
	nodeShift    uint
	byRequesters [MaxRequesters]list // requested blocks by their number of requesters

	// By peer.
	peers    []peer
	leechers []PeerID // peers that joined and are no seeds
	seeds    int
	cancels  []PeerID // Arrived's answer
}

// New returns the picker of a torrent of which we have nothing and want
// everything, with no peers. The error wraps [ErrConfig].
func New(c Config) (*Picker, error) {
	if c.NumPieces < 1 || c.NumPieces > maxPieces || c.PieceSize == nil {
		return nil, fmt.Errorf("%w: %d pieces", ErrConfig, c.NumPieces)
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = defaultMaxOpen
	}
	largest := 0
	for i := range c.NumPieces {
		size := c.PieceSize(i)
		if size < 1 || size > maxPieceSize {
			return nil, fmt.Errorf("%w: piece %d of %d bytes", ErrConfig, i, size)
		}
		largest = max(largest, size)
	}
	shift := uint(bits.Len(uint(blocks(largest) - 1)))
	if c.MaxOpen < 1 || uint64(c.MaxOpen) > uint64(maxNodes)>>shift {
		return nil, fmt.Errorf("%w: %d open pieces", ErrConfig, c.MaxOpen)
	}
	k := &Picker{
		numPieces: c.NumPieces, pieceSize: c.PieceSize, rng: c.Seed, maxOpen: c.MaxOpen, nodeShift: shift, orderLimit: defaultOrderLimit,
		have: bitfield.New(c.NumPieces), want: bitfield.New(c.NumPieces),
		prio: make([]uint8, c.NumPieces), avail: make([]int32, c.NumPieces), pos: make([]int32, c.NumPieces),
		fails: map[int32]uint8{}, cancels: make([]PeerID, 0, MaxRequesters),
	}
	for i := range k.prio {
		k.prio[i] = NormalPrio
	}
	for i := range k.byRequesters {
		k.byRequesters[i] = list{nilNode, nilNode}
	}
	k.recount()
	return k, nil
}

// blocks is the number of blocks of a piece of that size.
func blocks(size int) int { return (size-1)/BlockSize + 1 }

// rand returns a number in [0, n), n above 0 (splitmix64).
func (k *Picker) rand(n int) int {
	k.rng += 0x9e3779b97f4a7c15
	z := k.rng
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	hi, _ := bits.Mul64(z^z>>31, uint64(n))
	return int(hi)
}

// Have tells whether piece i is verified.
func (k *Picker) Have(i int) bool { return k.have.Get(i) }

// HaveCount is the number of verified pieces.
func (k *Picker) HaveCount() int { return k.haveCount }

// Bitfield returns the verified pieces: the picker's own, not to be changed, and
// valid under the caller's lock only.
func (k *Picker) Bitfield() bitfield.Bitfield { return k.have }

// Wanted is the number of pieces that have a priority above 0 and are not
// verified.
func (k *Picker) Wanted() int { return k.wanted }

// Complete tells that every wanted piece is verified.
func (k *Picker) Complete() bool { return k.wanted == 0 }

// Unrequested is the number of wanted blocks that are neither requested nor
// here, whether or not a peer has them.
func (k *Picker) Unrequested() int { return k.unrequested }

// Open is the number of open pieces.
func (k *Picker) Open() int { return len(k.slots) - len(k.unusedSlots) }

// Full tells that no more pieces are opened but urgent ones, because MaxOpen are
// open; while there are urgent pieces, up to a quarter of the slots waits for
// them. A Pick that gave nothing then may give something after [Picker.Evict].
func (k *Picker) Full() bool {
	return k.Open() >= k.maxOpen-min(len(k.urgent), k.maxOpen/4)
}

// Generation changes when there may be more to pick for somebody: after an
// Abandon, a failed piece, a closed slot, a change of priorities, a PeerHave of
// a wanted piece. Until then a caller whose Pick gave nothing need not call
// again for that peer with the same options, but for the endgame.
func (k *Picker) Generation() uint32 { return k.generation }

// Slot is the slot of an open piece, in [0, MaxOpen); -1 for other pieces. A
// piece that is complete and not yet verified or failed is open.
func (k *Picker) Slot(piece int) int {
	if uint(piece) >= uint(k.numPieces) || k.pos[piece] > posOpen {
		return -1
	}
	return int(posOpen - k.pos[piece])
}

// BlocksOf is the number of blocks of piece i.
func (k *Picker) BlocksOf(i int) int { return blocks(k.pieceSize(i)) }

// BlockAt returns block n of piece i.
func (k *Picker) BlockAt(i, n int) Block {
	begin := n * BlockSize
	return Block{int32(i), int32(begin), int32(min(BlockSize, k.pieceSize(i)-begin))}
}

// Endgame tells that every wanted block that a peer has is requested or here,
// and that something is still missing.
func (k *Picker) Endgame() bool {
	if k.wanted == 0 || k.unrequested > 0 && k.seeds > 0 {
		return false
	}
	if k.unrequested == 0 {
		return true
	}
	for i := range k.levels { // what is left must be what nobody has
		if l := &k.levels[i]; l.count > 0 {
			k.sortLevel(l)
			if int(l.bucketEnd[0]) != l.count {
				return false
			}
		}
	}
	for _, si := range k.pickable {
		if k.avail[k.slots[si].piece] > 0 {
			return false
		}
	}
	return true
}
