// Package superseed decides which pieces the only seed of a swarm shows to each
// peer (BEP 16).
//
// A super-seeding seed does not tell its peers which pieces it has. It shows each peer
// pieces that it has shown to no other peer, so that it sends every piece about once before
// it sends any piece twice. To show a piece means to send a have message for it.
//
// A peer that is unchoked and has received everything that it requested is shown another
// piece at once. Other peers influence which piece that is, but never delay it. A peer is
// shown pieces before it needs them, and more pieces the faster it downloads. A choked peer
// is shown one piece, so that it can become interested.
//
// A peer that stays the only one is told of all pieces, because it has no other peer to pass
// pieces on to. It is not if another peer has completed its download lately: that one is probably
// still a seed, with which this one has no connection because neither needs the other. All peers are told of all pieces when none of them has asked for anything for
// some time, so that no swarm stops.
//
// A [Seed] is a plain data structure: no lock, no clock, no goroutine, no socket.
// The caller holds the torrent's lock around every call, reports events and carries
// out the answers:
//
//	Join                        decide whether the new peer is shown pieces one by one
//	Ready                       the peer has said which pieces it has
//	Request, Cancel             the peer requested a block, or took the request back
//	Writing, Written, Drained   blocks are being written, were written, none is left
//	Has, Lacks                  the peer has a piece, or no longer has it
//	OtherSeed, Completed        another seed was seen that had the data before, or has it from here
//	SentOutside                 a piece was sent to some peer over HTTP
//	SetKeeps                    the peer passes on nothing, or does after all
//	Choked, Unchoked            the caller choked or unchoked the peer
//	Finishing, KeepUnchoked     the choker decided to choke the peer, or to keep it unchoked
//	Leave                       the peer left
//	Link, SetCarriers           the release has another swarm, and peers that take part in both
//	Tick                        a second has passed
//	Show                        after most events: the pieces to show to the peer now
//	Retry                       the time that Show returned has passed
//	Rest                        after Tick: hidden pieces that the peer is told of now
package superseed

import (
	"time"

	"spate/bitfield"
	"spate/torrent/internal/picker"
)

// Bounds and pauses of super-seeding.
const (
	otherSeedFor  = time.Hour              // how long a seed counts as present after it was seen; about the interval of trackers
	maxShown      = 256                    // pieces shown to one peer that it lacks
	showScan      = 1024                   // pieces compared to find the next one to show
	restAtOnce    = 4096                   // pieces that one call of Rest returns
	lastPieceWait = 30 * time.Second       // how long a peer that will be choked may take to receive the rest of its pieces
	askWait       = 5 * time.Second        // how long a peer may leave shown pieces unrequested until other peers are shown them
	elsewhereWait = 2 * time.Second        // how long a peer may leave a piece unrequested until it is assumed to get it from another peer
	readyWait     = time.Second            // how long a new peer may take to say which pieces it has
	firstRetry    = 20 * time.Millisecond  // first time between two checks whether a peer has received the written bytes
	lastRetry     = time.Second            // longest time between two such checks
	stillWait     = 20 * time.Second       // time without a request after which all peers are told of all pieces
	aloneWait     = 900 * time.Millisecond // how long a peer is the only one until it is told of all pieces
	fewPieces     = 4                      // pieces that a peer may always be shown before it needs them
	maxWindow     = 64 << 20               // most bytes that a peer is shown before it needs them
	expected      = 1 << 8                 // added in Seed.shown for each peer that is expected to get the piece from the seed
)

// Swarm tells a Seed which pieces the peers have. [picker.Picker] is one.
type Swarm interface {
	// Availability is the number of peers that have the piece.
	Availability(piece int) int
	// PeerHas reports whether the peer has the piece.
	PeerHas(id picker.PeerID, piece int) bool
}

// Pieces describes the pieces of the torrent.
type Pieces struct {
	Num    int
	Length int64           // length in bytes of every piece except the last
	Size   func(int) int64 // returns the length in bytes of a piece
}

// Seed is the state of a torrent's super-seeding. It is off until a peer joins the
// only seed. Make one with [New].
type Seed struct {
	pieces Pieces
	swarm  Swarm

	peers      []*peer   // the index is the picker.PeerID; nil if there is no record of the peer
	shown      []uint16  // for each piece the number of peers that were shown it and lack it, plus the constant expected for each peer that should get it from the seed; nil while off
	unshown    int       // pieces that no peer was shown yet
	hiding     int       // peers that are shown pieces one by one, counted about once a second
	cursor     int       // the piece at which the search for the next piece to show continues
	reached    int       // every piece below this one has reached a peer
	otherSeen  time.Time // when another seed was last seen
	doneSeen   time.Time // when a peer last completed its download
	movedAt    time.Time // when a peer last joined or sent a request
	aloneSince time.Time // since when there is exactly one peer; zero if there is none or several
	kept       []uint16  // for each piece the number of peers that have it and pass on nothing; nil if no peer ever did
	anyPasses  bool      // some peer may pass pieces on
	outside    []outside // pieces that were sent outside of connections, in the order of until
	own, other *Board    // of this swarm and of the other one of the release; nil if there is no other
	carriers   int       // peers that take part in both swarms
	wasCarried bool      // reached counts pieces of the other swarm
	list       []uint32  // reused for the result of Show and Rest
}

// peer is the state of super-seeding for one peer.
type peer struct {
	on        bool              // the seed shows the peer pieces one by one
	told      bitfield.Bitfield // the pieces that it was shown; length 0 if it was told of all pieces when it joined
	open      []showing         // pieces that it lacks and was shown, or requests although it was told of all pieces
	window    int64             // bytes that it is shown before it needs them
	writing   int               // blocks that are being written to it
	connected time.Time         // when it connected
	asked     time.Time         // when it was last shown a piece or last requested one
	choking   time.Time         // when the choker decided to choke it; zero if it did not
	ready     bool              // it has said which pieces it has, or readyWait has passed
	repeats   int               // pieces it may be shown although other peers are expected to get them
	starved   int               // times in a row that it had received everything and only such pieces were left
	delivered bool              // bytes were written to it since it last had received everything
	retrying  bool              // the caller will call Retry
	retries   int               // retries since it was last shown a piece
	keeps     bool              // it passes on nothing
	kept      bitfield.Bitfield // the pieces of it that Seed.kept counts; empty unless it passes on nothing
	rest      int               // once on is false: the first piece that Rest has not examined
}

// showing is a piece that a peer was shown and does not have.
type showing struct {
	piece    uint32
	left     int64 // bytes that the peer has not asked for
	sent     int64 // bytes that were written to the peer
	at       time.Time
	expected bool // the peer is being sent the piece or is expected to ask for it
}

// New returns a Seed that is off. The caller sets the swarm before the first peer joins.
func New(p Pieces) *Seed { return &Seed{pieces: p} }

// SetSwarm sets the Swarm that knows the pieces of the peers. It is called while
// the torrent has no peers.
func (s *Seed) SetSwarm(w Swarm) { s.swarm = w }

// Active reports whether super-seeding is on, or Rest must still return pieces that were
// hidden from a peer.
func (s *Seed) Active() bool { return s.shown != nil }

// Hides reports whether the peer is shown pieces one by one, and so does not know
// which pieces the seed has.
func (s *Seed) Hides(id picker.PeerID) bool {
	p := s.peer(id)
	return p != nil && p.on
}

// OtherSeed records that another seed was seen that had the data before.
func (s *Seed) OtherSeed(now time.Time) { s.otherSeen = now }

// Completed records that a peer has completed its download, or that a seed was seen that may have
// its data from this swarm. Pieces stay hidden from the other peers, and from those that join
// later: the new seed helps them, and a seed that told them of all pieces would send much of the
// data again.
func (s *Seed) Completed(now time.Time) { s.doneSeen = now }

// FirstSeed reports whether the torrent is complete and, as far as is known, all other seeds have
// their data from this swarm.
func (s *Seed) FirstSeed(complete bool, now time.Time) bool {
	return complete && now.Sub(s.otherSeen) > otherSeedFor
}

// Joining describes a peer that joins.
type Joining struct {
	ID        picker.PeerID
	Connected time.Time
	Complete  bool // the seed has every piece and may super-seed
}

// Join decides whether a peer that joins is shown pieces one by one. If it reports
// false, the caller tells the peer of all pieces.
func (s *Seed) Join(j Joining, now time.Time) bool {
	if !s.FirstSeed(j.Complete, now) {
		return false
	}
	if s.shown == nil {
		s.shown = make([]uint16, s.pieces.Num)
		s.unshown = s.pieces.Num
	}
	s.hiding++
	s.movedAt = now
	*s.enter(j.ID) = peer{
		on: true, told: bitfield.New(s.pieces.Num), window: s.firstWindow(),
		connected: j.Connected, asked: now,
	}
	return true
}

// firstWindow returns how many bytes a new peer is shown before it needs them: at least one
// piece, and no more than leaves enough for a hundred other peers.
func (s *Seed) firstWindow() int64 {
	const share, most = 128, 256 << 10
	return max(s.pieces.Length, min(s.pieces.Length*int64(s.pieces.Num)/share, most))
}

// Ready records that the peer has said which pieces it has.
func (s *Seed) Ready(id picker.PeerID) {
	if p := s.peer(id); p != nil {
		p.ready = true
	}
}

// Request records a request for a block of n bytes and reports whether the peer may
// ask for the piece. The peer is unchoked.
func (s *Seed) Request(id picker.PeerID, piece uint32, n int64, now time.Time) bool {
	if s.shown == nil {
		return true
	}
	s.movedAt = now
	p := s.peer(id)
	if p != nil && p.on && !p.told.Get(int(piece)) {
		return false
	}
	i := p.find(piece)
	if i < 0 && (p == nil || !p.on && len(p.open) < maxShown) && !s.swarm.PeerHas(id, int(piece)) {
		p = s.enter(id)
		i = s.open(p, piece, true, now)
	}
	if i >= 0 {
		w := &p.open[i]
		w.left = max(0, w.left-n)
		s.expect(w, true)
		p.asked = now
	}
	return true
}

// Cancel records that the peer took back a request for n bytes.
func (s *Seed) Cancel(id picker.PeerID, piece uint32, n int64) {
	p := s.peer(id)
	if i := p.find(piece); i >= 0 {
		w := &p.open[i]
		w.left = min(s.pieces.Size(int(piece)), w.left+n)
	}
}

// Writing records how many blocks are being written to the peer.
func (s *Seed) Writing(id picker.PeerID, blocks int) {
	if p := s.peer(id); p != nil {
		p.writing = blocks
	}
}

// Written records that n bytes of a piece have been written to the peer. It reports
// whether the whole piece was sent. The caller then records that the peer has the piece,
// because some clients send no have message for a piece to a peer that already has it.
func (s *Seed) Written(id picker.PeerID, piece uint32, n int64) (whole bool) {
	p := s.peer(id)
	i := p.find(piece)
	if i < 0 {
		return false
	}
	p.open[i].sent += n
	p.delivered = true
	return p.open[i].sent >= s.pieces.Size(int(piece))
}

// Drained records that all requested blocks of an unchoked peer are written, which means
// that it was shown too few pieces. rate is the rate to the peer in bytes a second.
func (s *Seed) Drained(id picker.PeerID, rate float64) {
	p := s.peer(id)
	if p != nil && p.on {
		p.window = max(p.window, min(2*p.window, max(fewPieces*s.pieces.Length, int64(4*rate))))
	}
}

// Has records that the peer has a piece. It reports whether the caller chokes the
// peer now, because the choke waited for this piece.
func (s *Seed) Has(id picker.PeerID, piece uint32, now time.Time) (choke bool) {
	p := s.peer(id)
	if p != nil && p.keeps {
		s.keep(p, int(piece))
	}
	i := p.find(piece)
	if s.shown != nil {
		defer s.tellPiece(piece)
	}
	if i < 0 {
		return false
	}
	s.close(p, i)
	return !p.choking.IsZero() && !s.Finishing(id, now)
}

// Finishing reports whether a peer that will be choked may first get the rest of the pieces
// that it requested. No other peer has these pieces, and a part of a piece is of no use. The
// time limit begins with the first call. The peer is shown no pieces until it is choked or
// KeepUnchoked is called.
func (s *Seed) Finishing(id picker.PeerID, now time.Time) bool {
	p := s.peer(id)
	if p == nil {
		return false
	}
	if p.choking.IsZero() {
		p.choking = now
	}
	if now.Sub(p.choking) >= lastPieceWait {
		return false
	}
	for i := range p.open {
		if w := &p.open[i]; w.expected && w.left < s.pieces.Size(int(w.piece)) {
			return true
		}
	}
	return false
}

// KeepUnchoked records that the peer will not be choked.
func (s *Seed) KeepUnchoked(id picker.PeerID) {
	if p := s.peer(id); p != nil {
		p.choking = time.Time{}
	}
}

// Choked records that the peer was choked. Other peers may now be shown the pieces that it
// did not get.
func (s *Seed) Choked(id picker.PeerID) {
	p := s.peer(id)
	if p == nil {
		return
	}
	p.choking = time.Time{}
	if !p.on {
		s.closeAll(p)
	}
	for i := range p.open {
		w := &p.open[i]
		w.left = s.pieces.Size(int(w.piece))
		s.expect(w, false)
	}
}

// Unchoked records that the peer was unchoked. It is now expected to request the pieces that
// it was shown.
func (s *Seed) Unchoked(id picker.PeerID, now time.Time) {
	p := s.peer(id)
	if p == nil {
		return
	}
	p.asked = now
	for i := range p.open {
		w := &p.open[i]
		w.at = now
		s.expect(w, true)
	}
}

// Leave forgets the peer.
func (s *Seed) Leave(id picker.PeerID) {
	if p := s.peer(id); p != nil {
		s.closeAll(p)
		if p.keeps {
			s.releaseKept(p)
			s.reached = 0
		}
		s.peers[id] = nil
	}
}

// Tick is called about once a second with the number of peers. It ends
// super-seeding when there is a seed that did not complete in this swarm, when one peer has stayed
// alone and no peer has completed its download, or when no peer has sent a request for some time. The caller then calls Show and Rest for
// every peer.
func (s *Seed) Tick(peers int, complete bool, now time.Time) {
	if s.shown == nil {
		return
	}
	s.trimOutside(now)
	switch {
	case peers != 1 || s.FeedsOtherSwarm():
		s.aloneSince = time.Time{}
	case s.aloneSince.IsZero():
		s.aloneSince = now
	}
	s.hiding = 0
	alone := !s.aloneSince.IsZero() && now.Sub(s.aloneSince) >= aloneWait && now.Sub(s.doneSeen) > otherSeedFor
	still := now.Sub(s.movedAt) >= stillWait
	only, hidden := s.FirstSeed(complete, now), false
	s.anyPasses = false
	for _, p := range s.peers {
		s.anyPasses = s.anyPasses || p != nil && !p.keeps
		if p == nil || p.told.Len() == 0 {
			continue
		}
		hidden = true
		if p.on && still {
			p.told = bitfield.New(s.pieces.Num) // Rest tells it of the pieces that it was shown too
		}
		if p.on = p.on && only && !alone && !still; p.on {
			s.hiding++
		}
		p.ready = p.ready || now.Sub(p.connected) >= readyWait
	}
	if !hidden && !s.FirstSeed(complete, now) || peers == 0 && now.Sub(s.doneSeen) > otherSeedFor {
		*s = Seed{pieces: s.pieces, swarm: s.swarm, otherSeen: s.otherSeen, doneSeen: s.doneSeen, own: s.own, other: s.other, carriers: s.carriers}
	}
	s.tellOther(peers)
}
