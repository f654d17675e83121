package torrent

import (
	"cmp"
	"context"
	"slices"
	"time"

	"spate/internal/webseed"
	"spate/torrent/internal/picker"
)

// Web seeds (BEP 19) are web servers that have all data of a torrent. To the picker each
// connection to a web seed is a peer that has every piece except those of files that failed at
// this web seed (webfaults.go). Bad data is blamed on the web seed, not on one of its
// connections.
//
// Web seeds are used only if the peers do not suffice, because the operator of a web seed
// uses BitTorrent to save traffic. They are used if no peer is connected for a short time,
// at once if all trackers were asked and no peer is known, or if the peers have been slow
// for some time. They are not used any more once the peers are fast.

// Bounds of the use of web seeds.
const (
	maxWebSeeds        = 32      // web seeds of one torrent
	maxWebConns        = 4       // connections of one torrent at one time
	maxWebConnsPerSeed = 2       // connections to one web seed at one time
	webRun             = 4 << 20 // most bytes of one request
)

// Peers are slow if the rest of the data takes them longer than slowPatience, but always
// below slowLeast and never above slowMost bytes a second.
const (
	slowPatience = 30 * time.Minute
	slowLeast    = 16 << 10
	slowMost     = 128 << 10
)

// Times until web seeds are used, and until they are not used any more.
const (
	webGraceAlone = 3 * time.Second  // how long no peer must be connected
	webGraceSlow  = 15 * time.Second // how long peers must be slow; an optimistic unchoke takes some time
	webReliefTime = 5 * time.Second  // how long peers must be fast
	// peerRateWeight is the share of the newest second in the rate of the peers.
	peerRateWeight = 0.1
)

// WebSeedStats is a snapshot of one web seed.
type WebSeedStats struct {
	URL        string // without password
	Conns      int    // connections
	Downloaded int64  // payload, since the torrent was added to the session
	DownRate   float64
	Err        error     // why missing data cannot be had from it, or the error of the last request; nil if all is well
	Stopped    bool      // nothing that is missing can be had from it because of Err, and no pause will soon change that
	NextTry    time.Time // the web seed is not used before; zero if it did not fail
}

// webSeeds holds the web seeds of a torrent that downloads. Torrent.mu guards it.
type webSeeds struct {
	layout   *webseed.Layout
	seeds    []*webSeed
	conns    int        // connections to all web seeds
	received int64      // bytes of payload from all web seeds
	peers    meter      // measures the payload from peers
	use      webSeedUse // decides whether they are used
}

// webSeed is one web seed. Torrent.mu guards it.
type webSeed struct {
	src    *webseed.Source
	key    PeerKey
	conns  map[*webConn]bool
	proven bool      // the server has answered a request
	err    error     // error of the last request, or of the stop; nil if it succeeded
	fails  int       // failures in a row
	faults webFaults // files and pieces that failed
	// faultsInRow counts the failures of files since data arrived.
	faultsInRow int
	notYet      time.Time // the web seed is not used before this time
	stopUntil   time.Time // the web seed has stopped, and is not used before this time
	stops       int       // stops in a row
	received    int64     // payload in bytes
	meter       meter
}

// webSeedUse decides whether web seeds are used. It is plain data; the time is an argument.
type webSeedUse struct {
	on    bool
	rate  float64   // rate of the peers, smoothed over about ten seconds because blocks come in bursts
	since time.Time // while on: when the peers became fast; while off: when they became slow; zero if they did not
}

// decide is called about once a second. It reports whether web seeds are used, given the
// rate of the peers and the rate below which they are slow, in bytes a second, the number
// of connected peers, and whether no peer is known and every tracker was asked.
func (b *webSeedUse) decide(now time.Time, rate, slow float64, conns int, alone bool) bool {
	b.rate += peerRateWeight * (rate - b.rate)
	if conns == 0 {
		b.rate = 0
	}
	toChange := b.rate < slow
	if b.on {
		toChange = b.rate >= 2*slow
	}
	if !toChange {
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

// slowLocked returns the rate in bytes a second below which the peers are slow.
func (t *Torrent) slowLocked() float64 {
	slow := max(slowLeast, min(slowMost, float64(t.status.bytesTotal-t.status.bytesDone)/slowPatience.Seconds()))
	for _, limit := range []int64{t.down.Rate(), t.s.down.Rate()} {
		if limit > 0 { // peers that our own limit holds back are not slow
			slow = min(slow, float64(limit)/2)
		}
	}
	return slow
}

// AddWebSeeds adds web seeds to those of the metainfo (BEP 19). The torrent's name is
// appended to a URL that ends in a slash. AddWebSeeds ignores URLs that are neither http
// nor https, web seeds that the torrent has, and those beyond 32.
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
			t.log.Info("web seed ignored", "err", err, "most", maxWebSeeds)
			continue
		}
		for _, o := range w.seeds {
			if o.src.String() == src.String() {
				continue next
			}
		}
		w.seeds = append(w.seeds, &webSeed{src: src, key: webSeedKey(src.String()), conns: map[*webConn]bool{}})
	}
}

// tickWebSeeds is called about once a second. It decides whether web seeds are used, and
// starts connections to them.
func (t *Torrent) tickWebSeeds(now time.Time) {
	t.mu.Lock()
	asked := t.web != nil || len(t.mi.WebSeeds) > 0
	t.mu.Unlock()
	asked = asked && t.s.announcer.Asked(t.swarms())
	t.mu.Lock()
	defer t.mu.Unlock()
	downloading := t.status.state == StateDownloading && t.life.ctx.Err() == nil && t.pick != nil
	if t.web == nil && downloading && len(t.mi.WebSeeds) > 0 {
		t.addWebSeedsLocked(nil)
	}
	w := t.web
	if w == nil || t.opt.NoWebSeeds || t.s.opt.NoWebSeeds {
		return
	}
	for _, s := range w.seeds {
		s.meter.update(now, s.received)
		alone := len(s.conns) > 0 && t.webAloneLocked(s, now)
		for c := range s.conns {
			c.server.SetPatient(alone)
		}
	}
	if !downloading {
		w.use = webSeedUse{}
		w.stopConns(nil)
		return
	}
	w.peers.update(now, t.count.downloaded.Load()-w.received)
	was := w.use.on
	alone := asked && t.peerConns.n+t.peerConns.dialing+t.knownPeersLocked() == 0
	if !w.use.decide(now, w.peers.rate, t.slowLocked(), t.peerConns.n, alone) {
		return
	}
	if !was {
		t.log.Info("the swarm is slow: web seeds are used", "peers", t.peerConns.n)
	}
	if t.blindLocked() {
		return // the data could not be verified
	}
	// Half of the buffers stay for peers.
	for w.conns < min(maxWebConns, max(1, t.pieces.mostOpen/2)) && t.startWebConnLocked(now) {
	}
}

// startWebConnLocked starts a connection to a usable web seed. It prefers the one that has the
// fewest. It returns false if it cannot.
func (t *Torrent) startWebConnLocked(now time.Time) bool {
	var usable []*webSeed
	for _, s := range t.web.seeds {
		most := 1
		if s.proven && !s.faults.noRanges() {
			most = maxWebConnsPerSeed
		}
		if !s.stopped(now) && len(s.conns) < most && !now.Before(s.notYet) && t.webHasWantedLocked(s, now) {
			usable = append(usable, s)
		}
	}
	slices.SortStableFunc(usable, func(a, b *webSeed) int { return cmp.Compare(len(a.conns), len(b.conns)) })
	for _, s := range usable {
		if !t.s.reserve(false) {
			return false
		}
		c := &webConn{t: t, seed: s, id: t.newHandleLocked()}
		c.ctx, c.cancel = context.WithCancel(t.life.ctx)
		c.joinLocked()
		c.pickLocked()
		if len(c.blocks) > 0 {
			t.life.goroutines.Go(c.run)
			return true
		}
		c.leaveLocked()
	}
	return false
}

// stopConns ends the connections to one web seed, or to all if it is nil.
func (w *webSeeds) stopConns(of *webSeed) {
	for _, s := range w.seeds {
		for c := range s.conns {
			if of == nil || s == of {
				c.cancel()
			}
		}
	}
}

// webSeedOfLocked returns the key of the web seed whose connection has a handle of the
// picker, or the zero key.
func (t *Torrent) webSeedOfLocked(id picker.PeerID) PeerKey {
	if t.web != nil {
		for _, s := range t.web.seeds {
			for c := range s.conns {
				if c.id == id {
					return s.key
				}
			}
		}
	}
	return PeerKey{}
}

// webStatsLocked returns a snapshot of the web seeds.
func (t *Torrent) webStatsLocked() []WebSeedStats {
	if t.web == nil {
		return nil
	}
	now := time.Now()
	all := make([]WebSeedStats, len(t.web.seeds))
	for i, s := range t.web.seeds {
		next, stopped := t.webNextTryLocked(s, now)
		all[i] = WebSeedStats{
			URL: s.src.String(), Conns: len(s.conns), Downloaded: s.received, DownRate: s.meter.rate,
			Err: t.webErrLocked(s, now), Stopped: stopped, NextTry: next,
		}
	}
	return all
}
