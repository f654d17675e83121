// Package choker decides which peers of a torrent are served (BEP 3).
//
// Call [Choker.Decide] every 10 seconds, and whenever an unchoked peer left or
// lost interest. It counts what we measured ourselves, bytes that came from a
// peer and bytes that went to it, and nothing that a peer claims. It is plain
// data: no clock, no lock, no randomness of its own; equal inputs give equal
// decisions.
//
// While we leech, the regular slots go to the interested peers that send us
// most; peers that send more but are not interested are unchoked beside them,
// which costs nothing until they are. While we seed, the regular slots go round:
// see [SeedMode]. One optimistic slot goes to a peer drawn at random for 30
// seconds, newcomers three times as likely; regular slots for which nobody
// qualifies are optimistic too. While we seed it is for peers that were never
// served, and a regular slot when there are none. A peer that snubs us (it
// leaves our requests unanswered) holds no regular slot however fast it was.
package choker

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"
)

// Defaults of the zero Config.
const (
	DefaultSlots    = 4
	DefaultMaxSlots = 50
	DefaultRateStep = 16 << 10
	DefaultQuantum  = 60 * time.Second
	DefaultServing  = 16 << 20
)

const (
	rotateEvery = 30 * time.Second // of the optimistic slots (BEP 3)
	newFor      = 60 * time.Second // a peer is a newcomer
	newWeight   = 3                // and that much likelier (BEP 3)
	idleGrace   = 20 * time.Second // until a peer that takes nothing loses its turn
)

// SeedMode says who is served while we have everything that we want.
type SeedMode uint8

const (
	// RoundRobin serves each peer for a quantum (time or bytes), then those that
	// wait longest; the fastest may stay while nobody waits.
	RoundRobin SeedMode = iota
	// AntiLeech serves those first that have had the fewest bytes of us, so that
	// nobody gets more than the others by being fast or by coming back; and those
	// last that have had more of us than they say they have.
	AntiLeech
)

// Config of a Choker. Zero fields take their defaults.
type Config struct {
	Slots      int           // regular slots; the optimistic one comes on top
	Optimistic int           // optimistic slots; 0 is 1, negative none
	RateBased  bool          // more than Slots while each peer still gets RateStep more than the one before
	MaxSlots   int           // bounds RateBased
	RateStep   float64       // bytes/s
	Seed       SeedMode      // while we want nothing
	Quantum    time.Duration // a turn in seed mode ends after that
	Serving    int64         // or after that many bytes
	Total      int64         // bytes of the torrent, for AntiLeech; 0: unknown
}

// Peer is what the engine knows of one peer.
type Peer struct {
	ID         uint32    // small and dense
	Interested bool      // in us
	Unchoked   bool      // by us, now
	UsesSlot   bool      // it takes the data that it requests
	Snubbed    bool      // it leaves our requests unanswered
	Joined     time.Time // when it connected
	UnchokedAt time.Time // when we unchoked it last; zero: never
	Down, Up   float64   // bytes/s that came from it and went to it, payload, of some 20 s
	UpBytes    int64     // payload that went to it in all
	Progress   float64   // 0 to 1, what it says to have
}

// Choker holds what is remembered between decisions.
type Choker struct {
	c          Config
	rotated    time.Time
	optimistic Set
	chosen     Set
	turns      map[uint32]int64 // UpBytes of the unchoked peers when their turn began
	order      []int            // scratch: indexes of peers
	weights    []int            // scratch
}

// New returns a Choker that has decided nothing yet.
func New(c Config) *Choker {
	if c.Slots <= 0 {
		c.Slots = DefaultSlots
	}
	switch {
	case c.Optimistic == 0:
		c.Optimistic = 1
	case c.Optimistic < 0:
		c.Optimistic = 0
	}
	if c.MaxSlots <= 0 {
		c.MaxSlots = DefaultMaxSlots
	}
	if c.RateStep <= 0 {
		c.RateStep = DefaultRateStep
	}
	if c.Quantum <= 0 {
		c.Quantum = DefaultQuantum
	}
	if c.Serving <= 0 {
		c.Serving = DefaultServing
	}
	return &Choker{c: c, turns: map[uint32]int64{}}
}

// Set is a set of peers by ID. It belongs to its Choker and is valid until the
// next Decide.
type Set struct{ w []uint64 }

// Has tells whether id is in the set.
func (s Set) Has(id uint32) bool {
	return int(id>>6) < len(s.w) && s.w[id>>6]>>(id&63)&1 != 0
}

// Len is the number of peers in the set.
func (s Set) Len() int {
	n := 0
	for _, w := range s.w {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s *Set) add(id uint32) {
	for int(id>>6) >= len(s.w) {
		s.w = append(s.w, 0)
	}
	s.w[id>>6] |= 1 << (id & 63)
}

// Decide returns the peers to be unchoked from now on; all others are to be
// choked. peers are all peers of the torrent; seeding tells that we want
// nothing more. rng breaks ties and draws the optimistic peers.
func (k *Choker) Decide(now time.Time, peers []Peer, seeding bool, rng *rand.Rand) Set {
	k.order = k.order[:0]
	for i := range peers {
		k.order = append(k.order, i)
	}
	rng.Shuffle(len(k.order), func(i, j int) { k.order[i], k.order[j] = k.order[j], k.order[i] })
	clear(k.chosen.w)

	slots, extra := k.Slots(peers), k.c.Optimistic
	if seeding {
		if !k.newcomers(now, peers) {
			slots, extra = slots+extra, 0
		}
		extra += slots - k.seed(now, peers, slots)
	} else {
		extra += slots - k.leech(peers, slots)
	}
	k.optimists(now, peers, extra, seeding, rng)
	k.remember(peers)
	return k.chosen
}

// Optimistic is the subset of the last decision that was drawn at random.
func (k *Choker) Optimistic() Set { return k.optimistic }

// Slots is the number of regular slots that Decide gives for these peers: the
// configured one, or with RateBased as many more as the upload carries. A peer
// counts while it gets RateStep more than the next slower one would at least, so
// that the number stops growing when the peers' shares become thin; until then it
// grows by half at each decision.
func (k *Choker) Slots(peers []Peer) int {
	if !k.c.RateBased {
		return k.c.Slots
	}
	rates := make([]float64, 0, len(peers))
	for i := range peers {
		if peers[i].Unchoked && peers[i].Interested {
			rates = append(rates, peers[i].Up)
		}
	}
	slices.Sort(rates)
	slices.Reverse(rates)
	n := 0
	for n < len(rates) && rates[n] >= float64(n+1)*k.c.RateStep {
		n++
	}
	more := 1
	if n == len(rates) {
		more = max(1, n/2) // nobody is slow
	}
	return max(k.c.Slots, min(n+more, k.c.MaxSlots))
}

// leech chooses by what the peers send us and returns how many slots it used.
func (k *Choker) leech(peers []Peer, slots int) int {
	slices.SortStableFunc(k.order, func(a, b int) int { return descending(peers[a].Down, peers[b].Down) })
	used := 0
	for _, i := range k.order {
		p := &peers[i]
		if p.Snubbed {
			continue
		}
		if used == slots || p.Down <= 0 {
			break
		}
		k.chosen.add(p.ID)
		if p.Interested {
			used++
		}
	}
	return used
}

func descending(a, b float64) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

// rotates tells whether the optimistic slots are to be given to others.
func (k *Choker) rotates(now time.Time) bool { return now.Sub(k.rotated) >= rotateEvery }

// optimists fills n slots with peers drawn at random; every 30 seconds with
// others than before, as far as there are others. A seed draws those first that
// were never served.
func (k *Choker) optimists(now time.Time, peers []Peer, n int, seeding bool, rng *rand.Rand) {
	rotate := k.rotates(now)
	if rotate {
		k.rotated = now
	}
	var kept Set
	for i := range peers { // whoever still may, keeps its slot until the rotation
		p := &peers[i]
		if rotate || n == 0 || !k.optimistic.Has(p.ID) || !p.Interested || k.chosen.Has(p.ID) {
			continue
		}
		kept.add(p.ID)
		k.chosen.add(p.ID)
		n--
	}
	before := k.optimistic
	k.optimistic = kept
	first := func(p *Peer) bool { return !before.Has(p.ID) && !(seeding && !p.UnchokedAt.IsZero()) }
	for pass := range 2 {
		for n > 0 {
			i := k.draw(now, peers, rng, func(p *Peer) bool { return pass == 1 || first(p) })
			if i < 0 {
				break
			}
			k.optimistic.add(peers[i].ID)
			k.chosen.add(peers[i].ID)
			n--
		}
	}
}

// draw returns the index of a random interested peer that is not chosen yet,
// or -1.
func (k *Choker) draw(now time.Time, peers []Peer, rng *rand.Rand, may func(*Peer) bool) int {
	k.weights = k.weights[:0]
	total := 0
	for i := range peers {
		p := &peers[i]
		if p.Interested && !k.chosen.Has(p.ID) && may(p) {
			total++
			if now.Sub(p.Joined) < newFor {
				total += newWeight - 1
			}
		}
		k.weights = append(k.weights, total)
	}
	if total == 0 {
		return -1
	}
	at := rng.IntN(total)
	i, _ := slices.BinarySearch(k.weights, at+1)
	return i
}

// remember notes where the turns of the peers that are served now began.
func (k *Choker) remember(peers []Peer) {
	present := make(map[uint32]bool, len(peers))
	for i := range peers {
		p := &peers[i]
		present[p.ID] = true
		if _, served := k.turns[p.ID]; !k.chosen.Has(p.ID) {
			delete(k.turns, p.ID)
		} else if !served || !p.Unchoked {
			k.turns[p.ID] = p.UpBytes
		}
	}
	for id := range k.turns {
		if !present[id] {
			delete(k.turns, id)
		}
	}
}
