package site

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"spate/internal/fairpool"
)

// How the readers of direct downloads are judged. A reader on a slow phone takes 50 kB/s, in
// steps of about 64 KiB because of the buffers between.
const (
	readGrace = 4 * time.Second        // a new reader may take nothing for so long
	readFloor = 16 << 10               // bytes a second that keep a place in any case
	readQuick = 100 * time.Millisecond // what is taken within that may be taken by buffers
	readProof = 512 << 10              // bytes that no buffers take
)

// readers returns the settings of the places for direct downloads.
func readers(most int, grace time.Duration) fairpool.Options {
	return fairpool.Options{Slots: most, Grace: grace, Floor: readFloor, Pause: grace * 5 / 2, Quick: readQuick, Proof: readProof}
}

// liveTurn is how long a visitor at least watches live numbers when others want to.
const liveTurn = 30 * time.Second

const (
	// lookAgain is the longest time after which somebody who waits looks for a reader
	// that makes room.
	lookAgain = time.Second
	// maxWaiting bounds the visitors who wait for a place among the downloads.
	maxWaiting = 1024
)

// PoolStats is the state of one bounded number of places of a [Site].
type PoolStats struct {
	Places, Held int
	// Refused visitors got no place, MadeRoom ones lost theirs to others.
	Refused, MadeRoom uint64
}

// Pools returns the state of the places for direct downloads and of those for visitors who
// watch live numbers.
func (s *Site) Pools() (downloads, live PoolStats) {
	return s.downloads.counts(), s.watchers.counts()
}

func (p *places) counts() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PoolStats{Places: p.most, Held: p.pool.Len(), Refused: p.refused, MadeRoom: p.madeRoom}
}

// places is a pool of places that visitors share. It is safe for concurrent use.
type places struct {
	mu     sync.Mutex
	pool   *fairpool.Pool[func()] // guarded by mu; a value ends its holder
	line   []*waiter              // in the order in which they came; guarded by mu
	lookAt time.Time              // when those in the line are tried again; guarded by mu
	most   int                    // places

	refused, madeRoom uint64 // guarded by mu
}

// waiter is a visitor without a place, who waits for one.
type waiter struct {
	network fairpool.Network
	came    time.Time
	end     func()
	ready   chan *place // gets a place, or nil when there is no room to wait either
}

func newPlaces(opt fairpool.Options) *places {
	return &places{pool: fairpool.New[func()](opt), most: opt.Slots}
}

// enter takes a place for a visitor, who waits for it for patience at most. It returns nil
// if there is none. end is called, once at most, when the visitor has to make room for
// another; the place is lost then.
func (p *places) enter(ctx context.Context, patience time.Duration, network fairpool.Network, end func()) *place {
	w := &waiter{network, time.Now(), end, make(chan *place, 1)}
	p.queue(w)
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for again := p.serve(); ; again = p.look() {
		select {
		case place := <-w.ready:
			return place
		case <-enough.C:
		case <-ctx.Done():
		case <-time.After(again):
			continue
		}
		p.giveUp(w)
		select {
		case place := <-w.ready: // it came just now
			return place
		default:
			return nil
		}
	}
}

// queue adds a visitor to those who wait. If they are too many, one of the network that
// has the most of them is refused, the one that waits the longest.
func (p *places) queue(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.line) >= maxWaiting {
		holders := make([]fairpool.Holder, len(p.line))
		for i, o := range p.line {
			holders[i] = fairpool.Holder{Network: o.network, Since: o.came}
		}
		i := fairpool.Choose(holders, w.network)
		p.line[i].ready <- nil
		p.line = slices.Delete(p.line, i, i+1)
		p.refused++
	}
	p.line = append(p.line, w)
}

// giveUp takes a visitor out of those who wait.
func (p *places) giveUp(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.line, w); i >= 0 {
		p.line = slices.Delete(p.line, i, i+1)
		p.refused++
	}
}

// serve gives those who wait what places there are, and returns when to look again.
func (p *places) serve() (again time.Duration) {
	now := time.Now()
	for {
		more, ended := p.serveOne(now)
		if ended != nil {
			ended()
		}
		if !more {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	again = lookAgain
	if at := p.pool.Again(); !at.IsZero() {
		again = max(time.Millisecond, min(again, at.Sub(now)))
	}
	p.lookAt = now.Add(again)
	return again
}

// look is serve for one of many who wait, of whom one does it for all.
func (p *places) look() (again time.Duration) {
	p.mu.Lock()
	again = time.Until(p.lookAt)
	p.mu.Unlock()
	if again > 0 {
		return again
	}
	return p.serve()
}

// serveOne gives a place to one who waits. It reports whether it had one, and returns what
// ends the visitor who made room.
func (p *places) serveOne(now time.Time) (had bool, ended func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.line) == 0 {
		return false, nil
	}
	networks := make([]fairpool.Network, len(p.line))
	for i, w := range p.line {
		networks[i] = w.network
	}
	i, m, out := p.pool.EnterNext(now, networks, func(i int) func() { return p.line[i].end })
	if m == nil {
		return false, nil
	}
	p.line[i].ready <- &place{p, m}
	p.line = slices.Delete(p.line, i, i+1)
	if out != nil {
		p.madeRoom++
		ended = out.Value
	}
	return true, ended
}

// place is a visitor's place.
type place struct {
	in *places
	m  *fairpool.Member[func()]
}

// offer notes that there is something to take for the visitor.
func (l *place) offer() {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	l.m.Offer(time.Now())
}

// took notes that the visitor has taken n bytes.
func (l *place) took(n int64) {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	l.m.Took(time.Now(), n)
}

// suspect reports whether the visitor has taken little so far, others of its network took
// nothing lately, and all places are held.
func (l *place) suspect() bool {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	return l.in.pool.Full() && l.m.Standing(time.Now()) == fairpool.Suspect
}

// leave gives the place back, to those who wait.
func (l *place) leave() {
	l.in.mu.Lock()
	l.m.Leave(time.Now())
	l.in.mu.Unlock()
	l.in.serve()
}

// networkOf returns the network that the visitor behind a request counts for.
func (s *Site) networkOf(r *http.Request) fairpool.Network {
	var from netip.Addr
	if s.opts.ClientAddr != nil {
		from = s.opts.ClientAddr(r)
	} else if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		from = ap.Addr()
	}
	if s.opts.loopbackCounts {
		return fairpool.Prefix(from)
	}
	return fairpool.NetworkOf(from)
}
