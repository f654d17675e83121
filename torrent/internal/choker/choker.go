// Package choker decides which peers of a torrent are unchoked (BEP 3).
//
// The engine calls [Choker.Decide] every 10 seconds, and also when an unchoked
// peer disconnects or loses interest. A [Choker] is a plain data structure
// without a clock, a lock or its own random numbers. Equal arguments give equal
// decisions.
//
// # Slots
//
// Each unchoked peer that is interested in us occupies a slot. There are
// Config.Slots regular slots, or more with Config.RateBased, and
// Config.Optimistic optimistic slots.
//
// # While the torrent downloads
//
// The regular slots go to the interested peers that send us data fastest. A
// faster peer that is not interested is unchoked too, and occupies no slot,
// because it requests nothing. A peer that snubs us (it leaves our requests
// unanswered) gets no regular slot.
//
// # While the torrent seeds
//
// The regular slots go to all interested peers in turn; see [SeedMode] for the
// order. A turn ends after Config.Quantum, after Config.Serving bytes, or when
// the peer takes no data for 20 seconds. Only peers with Peer.UsesSlot occupy
// slots. If the turns of n peers continue, Config.Slots - n other peers are unchoked
// in addition to the slots, and get a slot when they take data. So peers that take no
// data cannot keep out the others.
//
// While the uplink is full and the torrent super-seeds, peers that pass on nothing take turns in
// one slot: see [PassedOn] and [HoldBack].
//
// # Optimistic slots
//
// A random interested peer gets an optimistic slot for 30 seconds, so that a
// peer that has received nothing from us can begin to send. A peer that
// connected less than a minute ago is three times as likely as another. If too
// few peers qualify for the regular slots, the remaining slots are filled in the
// same way. While the torrent seeds, the optimistic slots go to peers that were
// never unchoked; if there are none, the slots become regular ones.
//
// # Trust
//
// The engine measures all numbers itself, except Peer.Progress, which the peer
// reports. AntiLeech uses it only to the disadvantage of the peer.
package choker

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"
)

// Values that replace zero fields of Config.
const (
	DefaultSlots    = 4
	DefaultMaxSlots = 50
	DefaultRateStep = 16 << 10 // bytes/s
	DefaultSeedStep = 4 << 10  // bytes/s
	DefaultQuantum  = 60 * time.Second
	DefaultServing  = 16 << 20 // bytes
)

const (
	rotateEvery    = 30 * time.Second // time between changes of the optimistic slots (BEP 3)
	newcomerFor    = 60 * time.Second // time from its connection during which a peer is a newcomer
	newcomerWeight = 3                // newcomers are this many times as likely to be drawn (BEP 3)
	idleGrace      = 20 * time.Second // time until the turn of a peer that takes no data ends
)

// SeedMode is the order in which a seed gives slots to peers.
type SeedMode uint8

const (
	// RoundRobin gives a slot for one turn, then to the peer that has waited longest.
	// While no peer waits, peers whose turn is over keep their slots, the fastest
	// first.
	RoundRobin SeedMode = iota
	// AntiLeech prefers the peers to which we have sent the fewest bytes, so that no
	// peer gets more by being fast or by connecting again. Peers that report much
	// less data than we have sent them are last.
	AntiLeech
)

// Config configures a Choker. Zero fields have the documented defaults.
type Config struct {
	Slots      int           // regular slots; 0 means DefaultSlots
	Optimistic int           // optimistic slots; 0 means 1, and a negative number none
	RateBased  bool          // adds regular slots while the upload is fast, see Choker.Slots
	MaxSlots   int           // the most regular slots with RateBased; 0 means DefaultMaxSlots
	RateStep   float64       // bytes/s that each further slot needs with RateBased; 0 means DefaultRateStep
	SeedStep   float64       // like RateStep, while the torrent seeds; 0 means DefaultSeedStep
	Seed       SeedMode      // the order of peers while the torrent seeds
	Quantum    time.Duration // the longest turn; 0 means DefaultQuantum
	Serving    int64         // the most bytes sent in a turn; 0 means DefaultServing
	Total      int64         // bytes of the torrent, for AntiLeech; 0 means unknown
}

// Peer describes a peer to Decide.
type Peer struct {
	ID         uint32    // a small number, because it is an index of a Set
	Interested bool      // the peer is interested in us
	Unchoked   bool      // we have unchoked the peer
	UsesSlot   bool      // the peer takes the data that it requests
	Snubbed    bool      // the peer leaves our requests unanswered
	Joined     time.Time // when the peer connected
	UnchokedAt time.Time // when we last unchoked the peer; zero if never
	Down, Up   float64   // bytes/s of payload from and to the peer, over about 20 seconds
	UpBytes    int64     // bytes of payload sent to the peer
	Progress   float64   // the share of the torrent that the peer reports to have, 0 to 1
	Keeps      bool      // the peer passes on nothing; see PassedOn and HoldBack
}

// Choker decides which peers of one torrent are unchoked. [New] makes one.
type Choker struct {
	config       Config
	lastRotation time.Time        // when the optimistic slots last changed
	optimistic   Set              // peers of the last decision that were drawn at random
	chosen       Set              // peers of the last decision
	turns        map[uint32]int64 // UpBytes of the unchoked peers when their turn began
	order        []int            // indexes of peers in the order of preference; reused memory
	weights      []int            // running sums of the weights in drawPeer; reused memory
}

// New returns a Choker for one torrent.
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
	if c.SeedStep <= 0 {
		c.SeedStep = DefaultSeedStep
	}
	if c.Quantum <= 0 {
		c.Quantum = DefaultQuantum
	}
	if c.Serving <= 0 {
		c.Serving = DefaultServing
	}
	return &Choker{config: c, turns: map[uint32]int64{}}
}

// Set is a set of IDs of peers. A Set that a Choker returns is valid until the
// next Decide.
type Set struct{ words []uint64 }

// Has reports whether id is in the set.
func (s Set) Has(id uint32) bool {
	return int(id>>6) < len(s.words) && s.words[id>>6]>>(id&63)&1 != 0
}

// Len returns the number of peers in the set.
func (s Set) Len() int {
	n := 0
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// add adds id to the set.
func (s *Set) add(id uint32) {
	for int(id>>6) >= len(s.words) {
		s.words = append(s.words, 0)
	}
	s.words[id>>6] |= 1 << (id & 63)
}

// Decide returns the peers that the engine unchokes; it chokes all others. peers
// are all connected peers of the torrent. seeding is true if all wanted pieces are
// verified. rng draws the optimistic peers and decides among equal ones.
func (k *Choker) Decide(now time.Time, peers []Peer, seeding bool, rng *rand.Rand) Set {
	k.order = k.order[:0]
	for i := range peers {
		k.order = append(k.order, i)
	}
	rng.Shuffle(len(k.order), func(i, j int) { k.order[i], k.order[j] = k.order[j], k.order[i] })
	clear(k.chosen.words)

	slots, extra := k.Slots(peers, seeding), k.config.Optimistic
	if seeding {
		if !k.hasOptimisticCandidate(now, peers) {
			slots, extra = slots+extra, 0
		}
		extra += slots - k.chooseSeeding(now, peers, slots)
	} else {
		extra += slots - k.chooseLeeching(peers, slots)
	}
	k.fillOptimistic(now, peers, extra, seeding, rng)
	k.recordTurns(peers)
	return k.chosen
}

// Optimistic returns the peers of the last decision that were drawn at random.
func (k *Choker) Optimistic() Set { return k.optimistic }

// Slots returns the number of regular slots for these peers. It is Config.Slots,
// or more with RateBased if the upload is fast. A peer counts as fast if it is the
// n-th fastest unchoked peer and receives at least n times RateStep, or n times SeedStep
// while the torrent seeds. Slots returns
// one more than the number of fast peers, or half as many more if all unchoked
// peers are fast, and at most MaxSlots.
func (k *Choker) Slots(peers []Peer, seeding bool) int {
	if !k.config.RateBased {
		return k.config.Slots
	}
	rates := make([]float64, 0, len(peers))
	for i := range peers {
		if peers[i].Unchoked && peers[i].Interested {
			rates = append(rates, peers[i].Up)
		}
	}
	slices.Sort(rates)
	slices.Reverse(rates)
	n, step := 0, k.config.RateStep
	if seeding {
		step = k.config.SeedStep
	}
	for n < len(rates) && rates[n] >= float64(n+1)*step {
		n++
	}
	more := 1
	if n == len(rates) {
		more = max(1, n/2) // all unchoked peers are fast
	}
	return max(k.config.Slots, min(n+more, k.config.MaxSlots))
}

// chooseLeeching unchokes the peers that send us data fastest, and returns the
// number of slots that it used.
func (k *Choker) chooseLeeching(peers []Peer, slots int) int {
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

// descending compares a and b so that the greater number is sorted first.
func descending(a, b float64) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

// rotationDue reports whether the optimistic slots change now.
func (k *Choker) rotationDue(now time.Time) bool { return now.Sub(k.lastRotation) >= rotateEvery }

// fillOptimistic fills n slots with random interested peers, which keep the slots
// until the next rotation. It prefers peers that had no optimistic slot in the last
// decision; for a seed it prefers only peers that were never unchoked.
func (k *Choker) fillOptimistic(now time.Time, peers []Peer, n int, seeding bool, rng *rand.Rand) {
	rotate := k.rotationDue(now)
	if rotate {
		k.lastRotation = now
	}
	var kept Set
	for i := range peers {
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
	preferred := func(p *Peer) bool { return !before.Has(p.ID) && !(seeding && !p.UnchokedAt.IsZero()) }
	for pass := range 2 {
		for n > 0 {
			i := k.drawPeer(now, peers, rng, func(p *Peer) bool { return pass == 1 || preferred(p) })
			if i < 0 {
				break
			}
			k.optimistic.add(peers[i].ID)
			k.chosen.add(peers[i].ID)
			n--
		}
	}
}

// drawPeer returns the index of a random interested peer that is not yet chosen
// and for which allowed is true, or -1.
func (k *Choker) drawPeer(now time.Time, peers []Peer, rng *rand.Rand, allowed func(*Peer) bool) int {
	k.weights = k.weights[:0]
	total := 0
	for i := range peers {
		p := &peers[i]
		if p.Interested && !k.chosen.Has(p.ID) && allowed(p) {
			total++
			if now.Sub(p.Joined) < newcomerFor {
				total += newcomerWeight - 1
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

// recordTurns records UpBytes of the peers whose turn begins with this decision,
// and forgets the turns of the other peers.
func (k *Choker) recordTurns(peers []Peer) {
	present := make(map[uint32]bool, len(peers))
	for i := range peers {
		p := &peers[i]
		present[p.ID] = true
		_, hasTurn := k.turns[p.ID]
		if !k.chosen.Has(p.ID) {
			delete(k.turns, p.ID)
		} else if !hasTurn || !p.Unchoked {
			k.turns[p.ID] = p.UpBytes
		}
	}
	for id := range k.turns {
		if !present[id] {
			delete(k.turns, id)
		}
	}
}
