package daemon

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"spate/internal/uplink"
	"spate/publish"
	"spate/site"
)

// spread returns who in the swarms of a release has a range of file i: see
// [site.Options.Spread]. A hybrid and its twin have the same pieces and the same files.
func (p *Publisher) spread(r *publish.Release, i int, off, n int64, addr netip.Addr) (site.Spread, bool) {
	if p.ShutOut() != "" {
		return site.Spread{}, false // peers cannot connect, so the site is the only source here
	}
	out := site.Spread{Pieces: r.Pieces, PieceLength: r.PieceLength, Room: p.room.get(p, p.env.Now())}
	known := false
	for _, ih := range r.AllHashes() {
		t := p.session.Torrent(ih)
		if t == nil {
			continue
		}
		s, ok := t.Spread(i, off, n, addr)
		if !ok {
			continue
		}
		if out.Have == nil {
			out.First, out.Have = s.First, s.Have
		}
		for k := range min(len(out.Have), len(s.Have)) {
			out.Have[k] = out.Have[k] || s.Have[k]
		}
		if s.Here > 0 {
			if !out.Client || s.Progress < out.Progress {
				out.Progress = s.Progress
			}
			out.Client = true
		}
		known = true
	}
	return out, known
}

// sending returns a function that tells the torrents of a release what is sent of file i over
// HTTP: see [site.Options.Sending].
func (p *Publisher) sending(r *publish.Release, i int, off int64) func(sent int64) {
	var tell []func(int64)
	for _, ih := range r.AllHashes() {
		if t := p.session.Torrent(ih); t != nil {
			if f := t.SendingOverHTTP(i, off); f != nil {
				tell = append(tell, f)
			}
		}
	}
	return func(sent int64) {
		for _, f := range tell {
			f(sent)
		}
	}
}

// uplinkRoom knows how much the uplink could send in addition. The zero value is ready for use.
type uplinkRoom struct {
	http atomic.Int64 // bytes a second of direct downloads

	mu   sync.Mutex // guards the fields below
	at   time.Time  // of room
	room int64      // bytes a second
}

// roomFor is the time for which a measured room is used again.
const roomFor = time.Second

// get returns the rate in bytes a second that the uplink could send in addition, or 0 if its
// capacity is unknown.
func (u *uplinkRoom) get(p *Publisher, now time.Time) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.at) >= roomFor || now.Before(u.at) {
		st := p.Uplink()
		if st.Mode == uplink.Given || st.Mode == uplink.Scheduled {
			st.Rate = u.http.Load()
			for _, t := range p.session.Torrents() {
				st.Rate += int64(t.Stats().UpRate)
			}
		}
		u.at, u.room = now, roomOf(st)
	}
	return u.room
}

// roomOf returns the rate that the uplink could send in addition.
func roomOf(st uplink.Status) int64 {
	if st.Foreign {
		return 0
	}
	capacity := st.Limit
	if capacity == 0 {
		capacity = st.Capacity
	}
	return max(0, capacity-st.Rate)
}
