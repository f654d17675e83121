package cli

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"spate"
	"spate/internal/doctor"
)

// seedsWait is the time after which doctor asks the trackers of a swarm without seeds again, because a
// seed that starts at the same time as doctor may announce after it.
const seedsWait = 10 * time.Second

// lateSeeds are the trackers that answered and knew no seed. Its methods may be called on nil, and add by
// several goroutines.
type lateSeeds struct {
	trackers *doctor.Trackers
	hash     spate.InfoHash

	mu   sync.Mutex // guards urls
	urls []string

	again <-chan time.Time // when to ask them again
}

// add adds the URL of a tracker.
func (l *lateSeeds) add(url string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.urls = append(l.urls, url)
}

// due returns a channel that receives when the trackers are to be asked again, or nil if there are none.
func (l *lateSeeds) due() <-chan time.Time {
	if l == nil {
		return nil
	}
	return l.again
}

// await makes doctor ask the trackers of l again, if there are any, at the end of its own time limit at the
// latest. No tracker is being added any more.
func (p *checkup) await(l *lateSeeds) {
	if len(l.urls) > 0 {
		l.again = time.After(min(p.wait, p.opt.timeout))
		p.late = l
	}
}

// awaitSeeds waits until the trackers are to be asked again, and asks them, unless this has been done.
func (p *checkup) awaitSeeds(ctx context.Context) {
	if p.late == nil {
		return
	}
	p.Notef("asking again for seeds, because one may have started meanwhile")
	select {
	case <-p.late.due():
		p.askLate(ctx)
	case <-ctx.Done():
	}
}

// askLate asks the trackers that knew no seed again, prints what they know now, and returns the peers in
// their answers.
func (p *checkup) askLate(ctx context.Context) []netip.AddrPort {
	l := p.late
	p.late = nil
	var mu sync.Mutex // guards peers
	var peers []netip.AddrPort
	p.all(len(l.urls), func(i int) ([]doctor.Finding, []doctor.ServerTime) {
		f, found := l.trackers.CheckAgain(ctx, l.urls[i], l.hash)
		mu.Lock()
		defer mu.Unlock()
		peers = append(peers, found...)
		return []doctor.Finding{f}, nil
	})
	return peers
}
