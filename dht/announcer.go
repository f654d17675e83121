package dht

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"spate"
	"spate/dht/internal/krpc"
	"spate/dht/internal/node"
	"spate/discovery"
)

// Times and sizes of an [Announcer].
const (
	announceEvery = 25 * time.Minute // most nodes keep a peer for 30 minutes or longer
	scanEvery     = time.Second
	firstRetry    = 2 * time.Second // time until the second search for a client that needs peers
	lastRetry     = 5 * time.Minute // the longest time between two such searches
	retryPart     = 4               // part of the time since the client began to need peers that passes between two searches
	retrySwarms   = 50              // number of swarms for which these times double
	fewWalks      = 16              // walks that run at a time
	swarmsPerWalk = 400             // number of swarms for which one more walk runs, so that all are announced in time
	manyWalks     = 300             // bounds the walks that run at a time
	walkLen       = 32              // announces of one walk along the key space
	longWalk      = 8               // announces from which on a walk begins with a search for the nodes around
)

// Announcer is a source of peers for a client (package discovery): it announces the client's
// swarms to the DHT and passes on the peers that it finds. It leaves out private torrents (BEP
// 27). Use [NewAnnouncer] to make one.
//
// It announces swarms in the order of their info-hashes, and each search begins with the nodes
// that the one before knew. Many swarms cost fewer queries each, because the same nodes are
// close to several.
type Announcer struct {
	node   *Node
	swarms discovery.Swarms

	freed chan struct{} // tells Run that a walk has ended

	mu      sync.Mutex // guards the fields below
	states  map[spate.InfoHash]*announced
	walking int // walks that run
}

// announced is the state of a swarm.
type announced struct {
	last    time.Time // when a search last ended; zero: never
	needs   time.Time // when the client began to need peers; zero: it does not
	few     bool      // the last search found no peer, or only one, which may be the client itself
	running bool
	seen    bool // the client was in the swarm at the last scan
	asked   bool // nodes have answered a search
}

// NewAnnouncer returns an announcer that does nothing until Run is called.
func NewAnnouncer(n *Node, swarms discovery.Swarms) *Announcer {
	return &Announcer{node: n, swarms: swarms, freed: make(chan struct{}, 1), states: map[spate.InfoHash]*announced{}}
}

// Run announces swarms until ctx is done, then returns nil. It begins when the node is ready.
func (a *Announcer) Run(ctx context.Context) error {
	select {
	case <-a.node.Ready():
	case <-ctx.Done():
		return nil
	}
	var running sync.WaitGroup
	defer running.Wait()
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for now := time.Now(); ; {
		walks := a.due(now)
		for i, walk := range walks {
			for !a.begin() {
				select {
				case <-a.freed:
				case <-ctx.Done():
					a.release(walks[i:])
					return nil
				}
			}
			running.Go(func() {
				defer a.end()
				a.walk(ctx, walk)
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case now = <-tick.C:
		}
	}
}

// Searched reports whether nodes have answered a search for the peers of one of the client's
// swarms.
func (a *Announcer) Searched(infoHash spate.InfoHash) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.states[infoHash]
	return s != nil && s.asked
}

// begin counts a walk that begins. It returns false if enough walks run.
func (a *Announcer) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.walking >= min(fewWalks+len(a.states)/swarmsPerWalk, manyWalks) {
		return false
	}
	a.walking++
	return true
}

// end counts a walk that has ended.
func (a *Announcer) end() {
	a.mu.Lock()
	a.walking--
	a.mu.Unlock()
	select {
	case a.freed <- struct{}{}:
	default:
	}
}

// due returns the swarms to announce now as walks in the order of their info-hashes, and marks
// them as running.
func (a *Announcer) due(now time.Time) (walks [][]discovery.Swarm) {
	all := a.swarms.Swarms()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.states {
		s.seen = false
	}
	var due []discovery.Swarm
	for _, swarm := range all {
		if swarm.Private {
			continue
		}
		s := a.states[swarm.InfoHash]
		if s == nil {
			s = &announced{}
			a.states[swarm.InfoHash] = s
		}
		s.seen = true
		switch needs := swarm.NeedsPeers || s.few; {
		case !needs:
			s.needs = time.Time{}
		case s.needs.IsZero():
			s.needs = now
		}
		if !s.running && !now.Before(s.next(len(all))) {
			s.running = true
			due = append(due, swarm)
		}
	}
	for ih, s := range a.states {
		if !s.seen && !s.running {
			delete(a.states, ih)
		}
	}
	slices.SortFunc(due, func(x, y discovery.Swarm) int { return bytes.Compare(x.InfoHash[:], y.InfoHash[:]) })
	return slices.Collect(slices.Chunk(due, walkLen))
}

// release marks the swarms of walks as not running.
func (a *Announcer) release(walks [][]discovery.Swarm) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, walk := range walks {
		for _, swarm := range walk {
			a.states[swarm.InfoHash].running = false
		}
	}
}

// walk announces swarms one after the other. Each search starts from the nodes of the search
// before it. A long walk begins with a search for the nodes around.
func (a *Announcer) walk(ctx context.Context, swarms []discovery.Swarm) {
	defer a.release([][]discovery.Swarm{swarms})
	var last *node.Search
	if len(swarms) >= longWalk {
		a.node.mu.Lock()
		from := a.node.core.WalkFrom(swarms[0].InfoHash, swarms[len(swarms)-1].InfoHash)
		a.node.mu.Unlock()
		a.node.searchFor(ctx, node.Request{Method: krpc.FindNode, Target: from}, nil, &last) // the walk works without it too
	}
	for _, swarm := range swarms {
		if ctx.Err() != nil {
			return
		}
		ih := swarm.InfoHash
		r := node.Request{Method: krpc.GetPeers, Target: ih, After: last, NoSeed: swarm.Seed}
		if port := a.swarms.AdvertisedPort(); port != 0 {
			r.Announce = &node.Announcement{Port: port, Seed: swarm.Seed}
		}
		found := 0
		var s *node.Search
		_, err := a.node.searchFor(ctx, r, func(p netip.AddrPort) {
			a.swarms.Found(ih, discovery.Candidate{Addr: p}, discovery.DHT)
			found++
		}, &s)
		a.searched(ih, time.Now(), found, err == nil)
		if err == nil {
			last = s
		}
	}
}

// next returns when a swarm of a client that is in n swarms is due: after announceEvery, or sooner
// while the client needs peers, because its peers may be about to come. Peers that cannot connect to
// the client are not reached before it finds them. These searches become rarer with time, and with
// more swarms.
func (s *announced) next(n int) time.Time {
	if s.last.IsZero() {
		return time.Time{}
	}
	wait := announceEvery
	if !s.needs.IsZero() {
		soon := min(max(s.last.Sub(s.needs)/retryPart, firstRetry), lastRetry)
		wait = min(soon+soon*time.Duration(n-1)/retrySwarms, announceEvery)
	}
	return s.last.Add(wait)
}

// searched records the end of a search. answered says that nodes have answered it.
func (a *Announcer) searched(ih spate.InfoHash, now time.Time, found int, answered bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.states[ih]
	s.asked = s.asked || answered
	s.last, s.few = now, found <= 1
}
