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

// The limits for direct downloads. A download below them can lose its slot to another
// visitor. A slow phone reads 50 kB/s, in steps of about 64 KiB because of the buffers on
// the way.
const (
	readGrace = 4 * time.Second        // time for which a new download may transfer nothing
	readFloor = 16 << 10               // rate in bytes per second at which a download never loses its slot
	readQuick = 100 * time.Millisecond // if data is sent in less time, it may have filled only buffers
	readProof = 512 << 10              // number of bytes that no buffers on the way can hold
)

// readers returns the options of the slots for direct downloads.
func readers(most int, grace time.Duration) fairpool.Options {
	return fairpool.Options{Slots: most, Grace: grace, Floor: readFloor, Pause: grace * 5 / 2, Quick: readQuick, Proof: readProof}
}

// liveTurn is the time for which a visitor can watch live numbers before others may take
// the slot.
const liveTurn = 30 * time.Second

const (
	// lookAgain is the maximum time after which a waiting visitor checks again whether
	// another download can be ended.
	lookAgain = time.Second
	// maxSearches is the number of requests that look at all files of a release or at all releases at
	// the same time. They use only the processor, so that more would not be faster.
	maxSearches = 2
	// maxWaiting is the maximum number of visitors who wait for a download slot.
	maxWaiting = 1024
)

// PoolStats is the state of a pool of slots for the visitors of a [Site].
type PoolStats struct {
	Slots   int    // number of slots
	Held    int    // number of slots in use
	Refused uint64 // visitors who got no slot
	Evicted uint64 // visitors who lost their slot to another one
}

// Pools returns the state of the slots for direct downloads, and of those for live numbers.
func (s *Site) Pools() (downloads, live PoolStats) {
	return s.downloads.counts(), s.watchers.counts()
}

func (p *slotPool) counts() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PoolStats{Slots: p.most, Held: p.pool.Len(), Refused: p.refused, Evicted: p.evicted}
}

// slotPool is a limited number of slots for visitors. It is safe for concurrent use.
type slotPool struct {
	mu     sync.Mutex
	pool   *fairpool.Pool[func()] // guarded by mu; a value is a function that ends its holder
	line   []*waiter              // waiting visitors in the order of arrival; guarded by mu
	lookAt time.Time              // when to check the line again; guarded by mu
	most   int                    // number of slots

	refused, evicted uint64 // guarded by mu
}

// waiter is a visitor who waits for a slot.
type waiter struct {
	network fairpool.Network
	came    time.Time
	end     func()
	ready   chan *slot // receives a slot, or nil if too many visitors wait
}

func newSlotPool(opt fairpool.Options) *slotPool {
	return &slotPool{pool: fairpool.New[func()](opt), most: opt.Slots}
}

// enter waits up to patience for a slot for a visitor. It returns nil if the visitor gets
// no slot. If the visitor later loses the slot to another one, end is called once.
func (p *slotPool) enter(ctx context.Context, patience time.Duration, network fairpool.Network, end func()) *slot {
	w := &waiter{network, time.Now(), end, make(chan *slot, 1)}
	p.queue(w)
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for again := p.serve(); ; again = p.look() {
		select {
		case slot := <-w.ready:
			return slot
		case <-enough.C:
		case <-ctx.Done():
		case <-time.After(again):
			continue
		}
		p.giveUp(w)
		select {
		case slot := <-w.ready: // the slot came at the same moment
			return slot
		default:
			return nil
		}
	}
}

// queue adds a visitor to the line. If too many visitors wait, it refuses one of the
// network with the most waiting visitors: the one who has waited longest.
func (p *slotPool) queue(w *waiter) {
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

// giveUp removes a visitor from the line.
func (p *slotPool) giveUp(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.line, w); i >= 0 {
		p.line = slices.Delete(p.line, i, i+1)
		p.refused++
	}
}

// serve gives the available slots to waiting visitors, and returns the time after which it
// must be called again.
func (p *slotPool) serve() (again time.Duration) {
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

// look calls serve, unless another waiting visitor has called it a short time ago. It
// returns the time after which look must be called again.
func (p *slotPool) look() (again time.Duration) {
	p.mu.Lock()
	again = time.Until(p.lookAt)
	p.mu.Unlock()
	if again > 0 {
		return again
	}
	return p.serve()
}

// serveOne gives a slot to one waiting visitor, and reports whether it could. If that
// visitor takes the slot of another one, ended is the function that ends the other
// visitor's download.
func (p *slotPool) serveOne(now time.Time) (had bool, ended func()) {
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
	p.line[i].ready <- &slot{p, m}
	p.line = slices.Delete(p.line, i, i+1)
	if out != nil {
		p.evicted++
		ended = out.Value
	}
	return true, ended
}

// slot is the slot of a visitor.
type slot struct {
	pool *slotPool
	m    *fairpool.Member[func()]
}

// offer records that the site has data for the visitor.
func (s *slot) offer() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.m.Offer(time.Now())
}

// took records that the client has received n bytes.
func (s *slot) took(n int64) {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.m.Took(time.Now(), n)
}

// suspect reports whether all slots are in use, the client has received little so far, and
// other clients of its network have recently received nothing.
func (s *slot) suspect() bool {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return s.pool.pool.Full() && s.m.Standing(time.Now()) == fairpool.Suspect
}

// leave frees the slot for waiting visitors.
func (s *slot) leave() {
	s.pool.mu.Lock()
	s.m.Leave(time.Now())
	s.pool.mu.Unlock()
	s.pool.serve()
}

// clientAddr returns the address of the visitor who sent a request, or the zero Addr.
func (s *Site) clientAddr(r *http.Request) netip.Addr {
	if s.opts.ClientAddr != nil {
		return s.opts.ClientAddr(r)
	}
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr()
}

// networkOf returns the network of the visitor who sent a request.
func (s *Site) networkOf(r *http.Request) fairpool.Network {
	from := s.clientAddr(r)
	if s.opts.loopbackCounts {
		return fairpool.Prefix(from)
	}
	return fairpool.NetworkOf(from)
}
