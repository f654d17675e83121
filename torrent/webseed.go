package torrent

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"spate/internal/netguard"
	"spate/torrent/internal/picker"
	"spate/torrent/internal/webseed"
)

// Web seeds (BEP 19) are web servers that have all of a torrent. To the picker
// each connection to one, a lane, is a peer that has everything; to whoever looks
// for the sender of bad data all lanes of a server are one.
//
// They are a backstop: whoever runs the server publishes by BitTorrent so that it
// does not have to carry the load. It is asked when there are no peers, at once
// when all trackers were asked and nobody is known, or when peers have been slow
// for a while, and left alone when they no longer are.

// Bounds of the use of web seeds.
const (
	maxWebSeeds     = 32 // of one torrent
	webLanes        = 4  // connections of one torrent at once
	webLanesPerSeed = 2
	webRun          = 4 << 20 // bytes of one request, or one piece where that is more
)

// When peers count as slow: they take longer than slowPatience for the rest, but
// never below or above a certain rate in bytes a second.
const (
	slowPatience = 30 * time.Minute
	slowLeast    = 16 << 10
	slowMost     = 128 << 10
)

// How long the swarm has before web seeds are asked, and how long it has to be
// fast before they are left alone.
const (
	webGraceAlone = 3 * time.Second  // no peer is connected
	webGraceSlow  = 15 * time.Second // peers are, and slow: an optimistic unchoke takes its time
	webReliefTime = 5 * time.Second
	// backstopWeight is the share of the newest second in the rate that counts.
	backstopWeight = 0.1
)

// Waits after a server failed, doubled with each failure in a row.
const (
	webFirstRetry = 5 * time.Second
	webLastRetry  = 10 * time.Minute
)

// errWrongData is why a web seed is not used any more whose pieces failed their
// hash.
var errWrongData = errors.New("the server sent wrong data")

// WebSeedStats is a snapshot of one web seed.
type WebSeedStats struct {
	URL        string // without password
	Conns      int    // connections at work
	Downloaded int64  // payload, since the torrent was added to the session
	DownRate   float64
	Err        error     // what went wrong last, or nil
	Stopped    bool      // it is not asked any more, because of Err
	NextTry    time.Time // it is not asked before; zero: whenever it is needed
}

// webSeeds are the web seeds of a torrent that downloads. Guarded by the
// torrent's lock.
type webSeeds struct {
	layout   *webseed.Layout
	seeds    []*webSeed
	lanes    int
	received int64    // payload from all of them
	peers    meter    // of what comes from peers
	need     backstop // whether they are asked
}

// webSeed is one web server. Guarded by the torrent's lock.
type webSeed struct {
	src      *webseed.Source
	name     netip.AddrPort // stands for it where senders of data are told apart
	lanes    map[*webLane]bool
	proven   bool // it has sent what it was asked for
	dead     bool // it is not asked any more
	err      error
	fails    int // in a row
	notYet   time.Time
	received int64
	meter    meter
}

// webSeedName is the address by which the senders of a bad piece name a web seed:
// of a prefix that discards everything (RFC 6666), with a port that no peer has.
func webSeedName(i int) netip.AddrPort {
	a := [16]byte{0: 1, 14: byte(i >> 8), 15: byte(i)}
	return netip.AddrPortFrom(netip.AddrFrom16(a), 0)
}

// backstop decides when web seeds are asked. It is plain data with the time as an
// argument.
type backstop struct {
	on    bool
	rate  float64   // of the peers, smoothed over some ten seconds: blocks come in bursts
	since time.Time // when the peers became slow, or fast while on; zero: they are not
}

// decide is told about once a second what the peers give, in bytes a second, what
// would be too little, how many are connected, and whether there is nobody to wait
// for.
func (b *backstop) decide(now time.Time, rate, slow float64, conns int, alone bool) bool {
	if b.rate += backstopWeight * (rate - b.rate); conns == 0 {
		b.rate = 0
	}
	odd := b.rate < slow
	if b.on {
		odd = b.rate >= 2*slow
	}
	if !odd {
		b.since = time.Time{}
		return b.on
	}
	if b.since.IsZero() {
		b.since = now
	}
	wait := webGraceSlow
	switch {
	case b.on:
		wait = webReliefTime
	case alone:
		wait = 0
	case conns == 0:
		wait = webGraceAlone
	}
	if now.Sub(b.since) >= wait {
		b.on, b.since = !b.on, time.Time{}
	}
	return b.on
}

// slowLocked is the rate in bytes a second below which the peers are slow.
func (t *Torrent) slowLocked() float64 {
	slow := max(slowLeast, min(slowMost, float64(t.leftLocked())/slowPatience.Seconds()))
	for _, limit := range []int64{t.down.Rate(), t.s.down.Rate()} {
		if limit > 0 { // who is held back by us is not slow
			slow = min(slow, float64(limit)/2)
		}
	}
	return slow
}

// AddWebSeeds adds web seeds to those of the metainfo (BEP 19): http and https
// URLs, with the torrent's name appended to what ends in a slash. Others, those
// that are there already, and more than 32 in all are passed over.
func (t *Torrent) AddWebSeeds(urls []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addWebSeedsLocked(urls)
}

func (t *Torrent) addWebSeedsLocked(urls []string) {
	if t.web == nil {
		t.web = &webSeeds{layout: webseed.NewLayout(t.mi)}
		urls = append(slices.Clone(t.mi.WebSeeds), urls...)
	}
	w := t.web
next:
	for _, u := range urls {
		src, err := w.layout.Source(u)
		if err != nil || len(w.seeds) == maxWebSeeds {
			t.log.Info("web seed passed over", "err", err, "most", maxWebSeeds)
			continue
		}
		for _, o := range w.seeds {
			if o.src.String() == src.String() {
				continue next
			}
		}
		w.seeds = append(w.seeds, &webSeed{src: src, name: webSeedName(len(w.seeds)), lanes: map[*webLane]bool{}})
	}
}

// tickWebSeeds decides about once a second whether web seeds are asked, and
// starts the lanes that are missing.
func (t *Torrent) tickWebSeeds(now time.Time) {
	t.mu.Lock()
	asked := t.web != nil || len(t.mi.WebSeeds) > 0
	t.mu.Unlock()
	asked = asked && t.s.announcer.Asked(t.anns)
	t.mu.Lock()
	defer t.mu.Unlock()
	downloading := t.state == StateDownloading && t.ctx.Err() == nil && t.pick != nil
	if t.web == nil && downloading && len(t.mi.WebSeeds) > 0 {
		t.addWebSeedsLocked(nil)
	}
	w := t.web
	if w == nil || t.opt.NoWebSeeds || t.s.opt.NoWebSeeds {
		return
	}
	for _, s := range w.seeds {
		s.meter.update(now, s.received)
	}
	if !downloading {
		w.need = backstop{}
		w.stopLanes(nil)
		return
	}
	w.peers.update(now, t.downloaded.Load()-w.received)
	was := w.need.on
	alone := asked && t.nconns+t.dialing+t.peers.Len() == 0
	if !w.need.decide(now, w.peers.rate, t.slowLocked(), t.nconns, alone) {
		return
	}
	if !was {
		t.log.Info("the swarm is slow: web seeds are asked", "peers", t.nconns)
	}
	if t.blindLocked() {
		return // what comes could not be verified
	}
	// Half of the buffers stay for peers.
	for w.lanes < min(webLanes, max(1, len(t.bufs)/2)) && t.startLaneLocked(now) {
	}
}

// startLaneLocked starts a lane to the web seed that has the fewest, if one can be
// asked.
func (t *Torrent) startLaneLocked(now time.Time) bool {
	var best *webSeed
	for _, s := range t.web.seeds {
		most := 1
		if s.proven {
			most = webLanesPerSeed
		}
		if !s.dead && len(s.lanes) < most && !now.Before(s.notYet) && (best == nil || len(s.lanes) < len(best.lanes)) {
			best = s
		}
	}
	if best == nil || !t.s.reserve(false) {
		return false
	}
	l := &webLane{t: t, seed: best, id: t.newHandleLocked()}
	l.ctx, l.cancel = context.WithCancel(t.ctx)
	l.joinLocked()
	if l.pickLocked(); len(l.blocks) == 0 {
		l.leaveLocked()
		return false
	}
	t.loop.Go(l.run)
	return true
}

// stopLanes ends the lanes of one web seed, or of all.
func (w *webSeeds) stopLanes(of *webSeed) {
	for _, s := range w.seeds {
		for l := range s.lanes {
			if of == nil || s == of {
				l.cancel()
			}
		}
	}
}

// failedLocked draws the consequence of an error of a lane.
func (s *webSeed) failedLocked(t *Torrent, now time.Time, err error) {
	if s.dead {
		return // the other lanes fail too
	}
	s.err = err
	var broken *webseed.BrokenError
	var busy *webseed.BusyError
	wait := min(webLastRetry, webFirstRetry<<min(s.fails, 10))
	switch {
	case errors.As(err, &broken), errors.Is(err, netguard.ErrForbidden), errors.Is(err, errWrongData):
		s.dead = true
		t.web.stopLanes(s)
		t.log.Warn("web seed is not used any more", "url", s.src, "err", err)
		return
	case errors.As(err, &busy):
		wait = max(wait, busy.RetryAfter)
	}
	if now.Before(s.notYet) {
		return // another lane has met the same
	}
	s.fails++
	s.notYet = now.Add(wait)
	t.log.Info("web seed failed", "url", s.src, "err", err, "retry", wait)
}

// banWebSeedLocked takes nothing any more from the web seed that a name of
// webSeedName stands for. It returns false when the name is not such a one.
func (t *Torrent) banWebSeedLocked(name netip.AddrPort) bool {
	if t.web == nil || name.Port() != 0 {
		return false
	}
	for _, s := range t.web.seeds {
		if s.name == name {
			s.failedLocked(t, time.Now(), errWrongData)
			return true
		}
	}
	return false
}

// laneNameLocked returns the name of the web seed to which a handle of the picker
// belongs, or one that is not valid.
func (t *Torrent) laneNameLocked(id picker.PeerID) netip.AddrPort {
	if t.web != nil {
		for _, s := range t.web.seeds {
			for l := range s.lanes {
				if l.id == id {
					return s.name
				}
			}
		}
	}
	return netip.AddrPort{}
}

// webStatsLocked returns a snapshot of the web seeds.
func (t *Torrent) webStatsLocked() []WebSeedStats {
	if t.web == nil {
		return nil
	}
	all := make([]WebSeedStats, len(t.web.seeds))
	for i, s := range t.web.seeds {
		all[i] = WebSeedStats{
			URL: s.src.String(), Conns: len(s.lanes), Downloaded: s.received, DownRate: s.meter.rate,
			Err: s.err, Stopped: s.dead, NextTry: s.notYet,
		}
	}
	return all
}
