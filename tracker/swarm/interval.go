package swarm

import (
	"math/bits"
	"time"
)

// DefaultBudget is the default of Options.Budget. A hundred thousand torrents with three peers
// each stay within it at intervals of ten minutes.
const DefaultBudget = 500

// Intervals that follow the swarm, in seconds. They grow from the first ones up to
// Options.Interval.
const (
	firstBlocked = 60  // of a young swarm in which connections between peers fail
	firstOpen    = 90  // of other young swarms
	longestSmall = 600 // of a small swarm of any age
	mostLeast    = 300 // the longest min interval that only the interval asks for

	// A peer that joins makes its swarm young. From then on the interval is this fraction of
	// the time without another newcomer, if it is longer than the first one.
	ageOpen    = 4
	ageBlocked = 20

	// fewPeers is the number of peers up to which a swarm is small. In a larger one the
	// intervals are longer in proportion, because each peer knows more of the others.
	fewPeers = 8

	// A peer that joins a small swarm is told firstNew, because its answer lacks the peers that
	// join at the same time, and its router lets them in only after it has sent them packets. A
	// peer that is alone in a swarm is told firstAlone for the seconds aloneFor.
	firstNew   = 10
	firstAlone = 30
	aloneFor   = 180

	// blockedFor is how long, in minutes, a swarm counts as blocked after an announce with
	// Request.Blocked.
	blockedFor = 10

	// strain bounds by how much the load makes intervals longer than Options.Interval.
	strain = 2
)

// hotSwarm is the number of peers above which the interval grows beyond Options.Interval: by
// 10 % for every doubling, up to 50 %.
const hotSwarm = 1000

// Expiry of a peer that was told an interval that follows the swarm, in seconds.
const (
	expireSlack = 300
	// shortestKept is the shortest interval that the expiry is computed from, because
	// libtorrent announces no sooner than every five minutes.
	shortestKept = 300
)

// pace decides the intervals of all swarms of a table. Times are in seconds.
type pace struct {
	regular int // Options.Interval
	least   int // Options.MinInterval
	early   int // the min interval of peers that have just joined; like least unless MinInterval is the default
	budget  int // Options.Budget; 0: the intervals do not follow the swarm
	longest int // the longest interval if they do
	expire  int // Options.Expire
}

func newPace(o *Options) pace {
	p := pace{regular: inSeconds(o.Interval), least: inSeconds(o.MinInterval), budget: o.Budget, expire: inSeconds(o.Expire)}
	p.early = p.least
	if o.defaultLeast {
		p.early = min(p.least, firstNew)
	}
	p.longest = max(p.regular, min(strain*p.regular, p.expire*10/17))
	return p
}

func inSeconds(d time.Duration) int { return int(d / time.Second) }

// crowd is what the interval of a swarm depends on.
type crowd struct {
	peers, seeds int
	quiet        int  // seconds since the last peer joined
	blocked      bool // connections between peers of the swarm fail
	listed       bool // the peer that announces is an entry of the table
	joined       bool // the peer that announces was no entry before
	all          int  // number of peers of all swarms
}

// interval returns the interval and the min interval for a peer of a swarm. seed means that the
// peer has nothing left to download.
//
// A peer behind a router learns of a reachable one only from an answer to its own announce. So
// peers of a young or small swarm are told a minute or two, and all swarms together stay within
// the budget: each peer is told at least as many seconds as there are peers for each announce a
// second. A peer that is new or alone is told less than a minute: peers behind routers that join
// together then hear of each other while their routers still let in the packets of the others.
func (p *pace) interval(c *crowd, seed bool) (interval, least int) {
	if p.budget == 0 {
		return p.fixed(c, seed), p.least
	}
	first, part, floor := firstOpen, ageOpen, p.least
	switch {
	case c.joined && c.peers <= fewPeers:
		first, floor = firstNew, p.early
	case c.listed && c.peers == 1 && c.quiet < aloneFor:
		first, floor = firstAlone, min(p.least, max(p.early, firstAlone))
	case c.blocked:
		first, part = firstBlocked, ageBlocked
	}
	longest := max(longestSmall, longestSmall*c.peers/fewPeers)
	if c.seeds == 0 && !seed {
		longest = min(longest, p.regular/3)
	}
	interval = max(first, first*c.peers/fewPeers, c.quiet/part)
	interval = max(min(interval, longest, p.hot(c.peers)), floor, 1)
	share := min((c.all+p.budget-1)/p.budget, p.longest)
	least = max(floor, min(interval/6, mostLeast), share)
	return max(interval, least), least
}

// fixed returns an interval that is Options.Interval, longer in a hot swarm, because its peers
// know enough others, and shorter for a leecher in a swarm without seeds, so that it learns of a
// seed soon.
func (p *pace) fixed(c *crowd, seed bool) int {
	if c.peers < hotSwarm && c.seeds == 0 && !seed {
		return max(p.regular/3, p.least)
	}
	return p.hot(c.peers)
}

// hot returns Options.Interval, lengthened for a hot swarm.
func (p *pace) hot(peers int) int {
	if peers < hotSwarm {
		return p.regular
	}
	return p.regular + min(p.regular/2, p.regular/10*bits.Len(uint(peers/hotSwarm)))
}

// lifetime returns the time after which a peer that was told an interval expires if it does not
// announce again.
func (p *pace) lifetime(interval int) int {
	if p.budget == 0 {
		return p.expire
	}
	return min(2*max(interval, shortestKept)+expireSlack, p.expire)
}

// tell sets the intervals of a reply about a swarm. Random variation by 10 % spreads the
// announces.
func (s *shard) tell(a *announce, c *crowd) {
	iv, least := s.t.pace.interval(c, a.req.Seed)
	spread := iv / 10
	iv += s.rng.below(2*spread+1) - spread
	a.rep.Interval = time.Duration(max(iv, least, 1)) * time.Second
	a.rep.MinInterval = time.Duration(least) * time.Second
}

// crowdOf returns the state of a swarm.
func (s *shard) crowdOf(rec record, a *announce) crowd {
	now := minuteOf(a.sec)
	return crowd{
		peers: int(a.rep.Seeders + a.rep.Leechers), seeds: int(a.rep.Seeders),
		quiet:   60 * int(now-rec.joined()),
		blocked: a.req.Blocked || rec.has(flagBlocked) && now-rec.blocked() < blockedFor,
		listed:  a.self.list >= 0,
		joined:  a.rep.New,
		all:     int(s.t.peers.Load()),
	}
}

// minuteOf returns the time in minutes modulo 2^16, which wraps around after 45 days.
func minuteOf(sec uint32) uint16 { return uint16(sec / 60) }
