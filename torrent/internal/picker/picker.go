package picker

import (
	"errors"
	"fmt"
	"math/bits"

	"spate/bitfield"
	"spate/internal/units"
)

// BlockSize is the length in bytes of a block (BEP 3). The last block of a piece
// may be shorter.
const BlockSize = 16 << 10

// Limits and defaults of a Picker.
const (
	MaxPriority   = 7   // the highest priority of a piece; 0 means not wanted
	NormalPrio    = 4   // the initial priority of every piece
	MaxRequesters = 3   // the most peers that a block is requested from at once
	MaxUrgent     = 256 // the most urgent pieces
)

const (
	maxPieces         = 1 << 30
	maxPieceSize      = 1<<31 - 1
	maxNodes          = 1 << 31 // the most slots times the blocks of the largest piece
	defaultMaxOpen    = 64      // MaxOpen of the zero Config
	randomFirst       = 4       // verified pieces before the rarest free piece is chosen
	maxParole         = 3       // failures with blocks of several peers after which a piece leaves parole
	randomTries       = 8       // random free pieces tried before the rarest is searched
	defaultOrderLimit = 512     // pieces searched in the order before the bitfields are searched instead
	endgameLimit      = 1024    // requested blocks searched in the endgame, in addition to the peer's own
	fewPieces         = 64      // pieces that change one by one; more of them make the orders stale
)

// Values of Picker.pos for pieces that are not free.
const (
	posNone = -1 // neither free nor open: verified or not wanted
	posOpen = -2 // open in slot 0; an open piece has posOpen minus its slot
)

// ErrConfig reports a Config with a value out of bounds.
var ErrConfig = errors.New("picker: configuration out of bounds")

// Block identifies a block as a request message does (BEP 3). Begin and Length
// are in bytes; Begin is a multiple of BlockSize.
type Block struct{ Piece, Begin, Length int32 }

// Config describes a torrent to its Picker.
type Config struct {
	NumPieces int // at least 1

	// PieceSize returns the number of bytes to download of piece i, at least 1 and
	// below 2 GiB. It always returns the same number for a piece. It may leave out
	// padding at the end of a piece (BEP 47) that fills whole blocks.
	PieceSize func(i int) int

	Seed uint64 // starts the random choices; the same seed and calls give the same picks

	// MaxOpen is the most pieces that are open at once, which bounds the engine's
	// buffers. Zero means 64. A fast peer needs one or two slots, or more if its
	// outstanding requests span several pieces.
	MaxOpen int
}

// Picker chooses the blocks to request for one torrent; the package comment
// describes how. [New] makes a Picker.
type Picker struct {
	numPieces  int
	pieceSize  func(int) int // Config.PieceSize
	rng        uint64        // the state of rand
	generation uint32        // Generation returns it
	orderLimit int           // defaultOrderLimit; tests set less

	// Indexed by piece.
	have  bitfield.Bitfield // verified pieces
	want  bitfield.Bitfield // wanted pieces: priority above 0 and not verified
	prio  []uint8           // priorities
	avail []int32           // leechers that have the piece
	pos   []int32           // the index in level.order of a free piece; posNone or posOpen of others
	fails map[int32]uint8   // consecutive failures with blocks of several peers, at most maxParole

	haveCount, wanted int
	unrequested       int    // free blocks of wanted pieces, both free and open ones
	wantEpoch         uint32 // changes when SetPriority or SetHave changes the wanted pieces
	levels            [MaxPriority + 1]level
	freeGen           uint32            // counts the pieces that became free
	urgent            []int32           // urgent pieces, the most urgent first
	urgentSet         bitfield.Bitfield // the same pieces; of length 0 before the first SetUrgent

	// Open pieces.
	slots        []slot
	unusedSlots  []int32 // slots without a piece
	maxOpen      int
	pickable     []int32              // slots of wanted pieces that have free blocks
	pickableBy   [MaxPriority + 1]int // the number of pickable slots of each priority
	nodeShift    uint                 // bits of a block's index in a list node
	byRequesters [MaxRequesters]list  // byRequesters[n-1] lists the blocks requested from n peers

	// Peers.
	peers    []peer   // indexed by PeerID
	leechers []PeerID // joined peers that are not seeds
	seeds    int      // joined peers that are seeds
	cancels  []PeerID // reused for the result of Arrived
}

// New returns a Picker without peers, of a torrent without verified pieces whose
// pieces are all wanted. Its error wraps [ErrConfig].
func New(c Config) (*Picker, error) {
	if c.NumPieces < 1 || c.NumPieces > maxPieces || c.PieceSize == nil {
		return nil, fmt.Errorf("%w: %s", ErrConfig, units.Plural(c.NumPieces, "piece"))
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = defaultMaxOpen
	}
	largest := 0
	for i := range c.NumPieces {
		size := c.PieceSize(i)
		if size < 1 || size > maxPieceSize {
			return nil, fmt.Errorf("%w: piece %d of %s", ErrConfig, i, units.Plural(size, "byte"))
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

// blocks returns the number of blocks of a piece of size bytes.
func blocks(size int) int { return (size-1)/BlockSize + 1 }

// rand returns a random number in [0, n) by splitmix64; n is above 0.
func (k *Picker) rand(n int) int {
	k.rng += 0x9e3779b97f4a7c15
	z := k.rng
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	hi, _ := bits.Mul64(z^z>>31, uint64(n))
	return int(hi)
}

// Have reports whether piece i is verified.
func (k *Picker) Have(i int) bool { return k.have.Get(i) }

// HaveCount returns the number of verified pieces.
func (k *Picker) HaveCount() int { return k.haveCount }

// Bitfield returns the verified pieces. The caller must not change the bitfield,
// and may read it only while it holds the torrent's lock, because the Picker
// changes it.
func (k *Picker) Bitfield() bitfield.Bitfield { return k.have }

// Wanted returns the number of wanted pieces: those with a priority above 0 that
// are not verified.
func (k *Picker) Wanted() int { return k.wanted }

// Complete reports whether all pieces with a priority above 0 are verified.
func (k *Picker) Complete() bool { return k.wanted == 0 }

// Unrequested returns the number of free blocks of wanted pieces, whether or not
// a peer has them.
func (k *Picker) Unrequested() int { return k.unrequested }

// Open returns the number of open pieces.
func (k *Picker) Open() int { return len(k.slots) - len(k.unusedSlots) }

// Full reports whether Pick opens no pieces except urgent ones, because too many
// are open. The limit is MaxOpen; Full reserves a slot for each urgent piece, up
// to a quarter of MaxOpen. A Pick that returns no block while the Picker is full
// may return blocks after [Picker.Evict].
func (k *Picker) Full() bool {
	return k.Open() >= k.maxOpen-min(len(k.urgent), k.maxOpen/4)
}

// Generation returns a number that changes when some peer may get more blocks:
// after Abandon, a failed piece, a closed slot, a change of priorities, or a
// PeerHave of a wanted piece. After a Pick that returned no block, the caller can
// wait for a change before it calls Pick again for the same peer and options. The
// endgame is an exception.
func (k *Picker) Generation() uint32 { return k.generation }

// Slot returns the slot of an open piece, in [0, MaxOpen), or -1 if the piece is
// not open. A piece whose blocks have all arrived stays open until Verified or
// Failed.
func (k *Picker) Slot(piece int) int {
	if uint(piece) >= uint(k.numPieces) || k.pos[piece] > posOpen {
		return -1
	}
	return int(posOpen - k.pos[piece])
}

// BlocksOf returns the number of blocks of piece i.
func (k *Picker) BlocksOf(i int) int { return blocks(k.pieceSize(i)) }

// BlockAt returns block n of piece i.
func (k *Picker) BlockAt(i, n int) Block {
	begin := n * BlockSize
	return Block{int32(i), int32(begin), int32(min(BlockSize, k.pieceSize(i)-begin))}
}

// Endgame reports whether pieces are still wanted but every wanted block that a
// peer has is requested or has arrived.
func (k *Picker) Endgame() bool {
	if k.wanted == 0 || k.unrequested > 0 && k.seeds > 0 {
		return false
	}
	if k.unrequested == 0 {
		return true
	}
	for i := range k.levels { // no peer may have any of the free pieces
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

// Nowhere returns how many wanted pieces no joined peer has.
func (k *Picker) Nowhere() (n int) {
	if k.seeds > 0 {
		return 0
	}
	for i := range k.want.Ones() {
		if k.avail[i] == 0 {
			n++
		}
	}
	return n
}
