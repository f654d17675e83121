package choker

import (
	"math"
	"time"
)

// Bounds of PassedOn.
const (
	passedOnHalf = time.Minute      // half-life of the bytes that are counted
	passTime     = 20 * time.Second // in which a peer should pass a piece on; some programs choose whom to serve every ten seconds
	promptTime   = 8 * time.Second  // the same for a peer of SetPrompt that has promptParts pieces alone
	keepTurn     = 30 * time.Second // from the time at which HoldBack last let a peer be unchoked to its next turn
	keepsBelow   = 0.25             // share that is passed on below which a peer keeps its pieces
	promptParts  = 16               // pieces of the last passTime from which on promptTime holds; a peer with few may wait for its own slow line
	provingParts = 8                // pieces that a peer had alone from which on its share is known
	maxSole      = 1 << 16          // pieces that only one peer has which are remembered
	// vouchFor is the factor by which the bytes that a peer's announcements count for others may
	// exceed those that we have sent the peer.
	vouchFor = 2
)

// PassedOn tells which peers of a seed pass on nothing: what we sent to them when no other peer
// had it does not reach other peers. A piece counts as passed on when another peer announces it
// that did not get it from us.
//
// Announcements can be lies. Those of one peer count for at most twice the bytes that we have
// sent that peer, so that a peer gains nothing from helpers that download nothing from us.
// Peers that download from us and lie for each other can at most look like peers that pass on
// everything, and no peer is preferred to these.
//
// A PassedOn is a plain data structure like a [Choker]. Use [NewPassedOn].
type PassedOn struct {
	length int64             // of a piece
	sole   map[uint32]uint32 // piece that only one peer has -> the peer
	peers  map[uint32]*passedOnPeer
}

// passedOnPeer counts bytes. alone and passed halve with every passedOnHalf.
type passedOnPeer struct {
	at      time.Time           // of alone and passed
	alone   float64             // sent to the peer when no other peer had them, and passed on or older than passTime
	passed  float64             // of alone, those that have reached other peers
	parts   int                 // pieces in alone, without the halving
	sole    map[uint32]struct{} // pieces that PassedOn.sole has under the peer
	recent  []solePiece         // pieces that are not in alone yet, in the order of their time
	sent    int64               // sent to the peer in whole pieces
	vouched int64               // counted for other peers because this peer announced them
	prompt  bool                // see SetPrompt
}

type solePiece struct {
	piece uint32
	at    time.Time
}

// NewPassedOn returns a PassedOn without peers for pieces of length bytes.
func NewPassedOn(length int64) *PassedOn {
	return &PassedOn{length: length, sole: map[uint32]uint32{}, peers: map[uint32]*passedOnPeer{}}
}

// peer returns the record of a peer, with its counts at now.
func (o *PassedOn) peer(id uint32, now time.Time) *passedOnPeer {
	p := o.peers[id]
	if p == nil {
		p = &passedOnPeer{at: now}
		o.peers[id] = p
	}
	if d := now.Sub(p.at); d > 0 {
		f := math.Exp2(-float64(d) / float64(passedOnHalf))
		p.alone, p.passed, p.at = p.alone*f, p.passed*f, now
	}
	within := passTime
	if p.prompt && len(p.recent) >= promptParts {
		within = promptTime
	}
	n := 0
	for n < len(p.recent) && now.Sub(p.recent[n].at) >= within {
		if from, ok := o.sole[p.recent[n].piece]; ok && from == id {
			p.count(float64(o.length), 0)
		}
		n++
	}
	p.recent = p.recent[n:]
	return p
}

// count counts a piece that the peer had alone.
func (p *passedOnPeer) count(alone, passed float64) {
	p.alone += alone
	p.passed += passed
	p.parts++
}

// SetPrompt records that the peer's program serves others without waiting for a turn, so that
// it shows within seconds whether it passes on pieces.
func (o *PassedOn) SetPrompt(id uint32, now time.Time) { o.peer(id, now).prompt = true }

// Sent records that we have sent a whole piece to a peer. alone means that no other peer that
// passes pieces on has it.
func (o *PassedOn) Sent(id, piece uint32, alone bool, now time.Time) {
	p := o.peer(id, now)
	p.sent += o.length
	o.forget(piece)
	if !alone || len(o.sole) >= maxSole {
		return
	}
	o.sole[piece] = id
	if p.sole == nil {
		p.sole = map[uint32]struct{}{}
	}
	p.sole[piece] = struct{}{}
	p.recent = append(p.recent, solePiece{piece, now})
}

// Has records that a peer has announced a piece that we have not sent it.
func (o *PassedOn) Has(id, piece uint32, now time.Time) {
	from, ok := o.sole[piece]
	if !ok || from == id {
		return
	}
	p := o.peer(id, now)
	if p.vouched+o.length > vouchFor*max(p.sent, o.length) {
		return
	}
	p.vouched += o.length
	o.forget(piece)
	o.peer(from, now).count(float64(o.length), float64(o.length))
}

// Leave forgets a peer. Pieces that only it had count for nobody.
func (o *PassedOn) Leave(id uint32) {
	p := o.peers[id]
	if p == nil {
		return
	}
	for piece := range p.sole {
		delete(o.sole, piece)
	}
	delete(o.peers, id)
}

// forget forgets which peer alone has a piece.
func (o *PassedOn) forget(piece uint32) {
	if from, ok := o.sole[piece]; ok {
		delete(o.peers[from].sole, piece)
		delete(o.sole, piece)
	}
}

// Keeps reports whether a peer passes on less than a quarter of what it has alone. It is false
// for a peer of which too little is known.
func (o *PassedOn) Keeps(id uint32, now time.Time) bool {
	if o.peers[id] == nil {
		return false
	}
	p := o.peer(id, now)
	return p.parts >= provingParts && p.passed < keepsBelow*p.alone
}

// HoldBack returns the peers that a seed with a full uplink does not serve now: those that keep
// their pieces, except the one of them that was unchoked least recently, so that each has its turn.
// A peer has a turn once in half a minute at most. HoldBack returns none if no other peer is
// interested.
func HoldBack(peers []Peer, now time.Time) Set {
	var held Set
	longest, others := -1, false
	for i := range peers {
		switch p := &peers[i]; {
		case !p.Interested:
		case !p.Keeps:
			others = true
		default:
			held.add(p.ID)
			if longest < 0 || p.UnchokedAt.Before(peers[longest].UnchokedAt) {
				longest = i
			}
		}
	}
	if longest < 0 || !others {
		return Set{}
	}
	if now.Sub(peers[longest].UnchokedAt) >= keepTurn {
		held.words[peers[longest].ID>>6] &^= 1 << (peers[longest].ID & 63)
	}
	return held
}
