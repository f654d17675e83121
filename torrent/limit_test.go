package torrent_test

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// limited is a limit that is set on one of the members of a small swarm.
type rateLimit struct {
	rate       int64
	perTorrent bool // it is the torrent's; else the session's
}

func (l rateLimit) apply(opt *torrent.Options, add *torrent.AddOptions, up bool) {
	to := map[bool]map[bool]*int64{
		true:  {true: &add.Up, false: &add.Down},
		false: {true: &opt.Up, false: &opt.Down},
	}
	*to[l.perTorrent][up] = l.rate
}

// limits from next to nothing to what a simulated network carries in no time.
var rates = []int64{2_000, 30_000, 1_000_000, 10_000_000}

// eachLimit runs f for every limit with as much data as passes in time, which is
// long enough for a block not to matter.
func forEachLimit(t *testing.T, f func(t *testing.T, w *web, l rateLimit, data []byte, mi *metainfo.MetaInfo, over time.Duration)) {
	for _, rate := range rates {
		over := max(2*time.Second, time.Duration(4e6/float64(rate)*float64(time.Second)))
		size := int(1.1*(over+settleTime(rate)).Seconds()*float64(rate)) + 8<<20
		data, mi := makeTorrent(t, size, 256<<10)
		for _, ofTorrent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/torrent=%v", rate, ofTorrent), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWeb(t)
					defer w.end()
					f(t, w, rateLimit{rate, ofTorrent}, data, mi, over)
				})
			})
		}
	}
}

// exact fails unless got bytes in that time are the limit by 2 %.
func checkRate(t *testing.T, l rateLimit, got int64, over time.Duration) {
	t.Helper()
	want := float64(l.rate) * over.Seconds()
	if off := float64(got)/want - 1; math.Abs(off) > 0.02 {
		t.Errorf("%d bytes in %v, %.2f %% off the limit", got, over, 100*off)
	}
}

// settle is how long a swarm is left alone before its rate is measured.
func settleTime(rate int64) time.Duration {
	return 2*time.Second + time.Duration(2e5/float64(rate)*float64(time.Second))
}

// TestUploadLimit has three peers fetch from one that limits its upload: what it
// sends is the limit, and each gets its share.
func TestUploadLimit(t *testing.T) {
	forEachLimit(t, func(t *testing.T, w *web, l rateLimit, data []byte, mi *metainfo.MetaInfo, over time.Duration) {
		var opt torrent.Options
		add := torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true}
		l.apply(&opt, &add, true)
		from := w.session(simnet.Link{}, opt)
		seed := w.add(from, mi, add)
		var getters []*torrent.Torrent
		for range 3 {
			s := w.session(simnet.Link{}, torrent.Options{NoPEX: true})
			getters = append(getters, w.add(s, withoutTrackers(mi), torrent.AddOptions{
				Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{from.Addr()},
			}))
		}
		time.Sleep(settleTime(l.rate))
		before := []int64{seed.Stats().Uploaded}
		for _, g := range getters {
			before = append(before, g.Stats().Downloaded)
		}
		time.Sleep(over)
		got := seed.Stats().Uploaded - before[0]
		checkRate(t, l, got, over)
		for i, g := range getters {
			share := float64(g.Stats().Downloaded-before[i+1]) / float64(got) * 3
			if share < 0.9 || share > 1.1 {
				t.Errorf("getter %d had %.3f of its share", i, share)
			}
		}
	})
}

// TestDownloadLimit has a peer that limits its download fetch from three others
// and a web seed: what it receives is the limit.
func TestDownloadLimit(t *testing.T) {
	forEachLimit(t, func(t *testing.T, w *web, l rateLimit, data []byte, mi *metainfo.MetaInfo, over time.Duration) {
		ws := w.serve(simnet.Link{}, bytesHandler(data))
		opt := torrent.Options{NoPEX: true}
		add := torrent.AddOptions{Storage: storage.NewMemoryLike(data)}
		l.apply(&opt, &add, false)
		for range 3 {
			s := w.session(simnet.Link{}, torrent.Options{})
			w.add(s, mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
			add.Peers = append(add.Peers, s.Addr())
		}
		g := w.add(w.session(simnet.Link{}, opt), withoutTrackers(with(mi, ws.url)), add)
		time.Sleep(settleTime(l.rate))
		first := g.Stats().Downloaded
		if most := float64(l.rate)*settleTime(l.rate).Seconds() + 64<<10; float64(first) > 1.02*most {
			t.Errorf("%d bytes in the first %v, %d is the limit", first, settleTime(l.rate), int64(most))
		}
		time.Sleep(over)
		checkRate(t, l, g.Stats().Downloaded-first, over)
		if n := g.Stats().Wasted; n > 0 {
			t.Errorf("%d bytes came twice: who is held back is not silent", n)
		}
	})
}

// TestWebSeedLimit: a web seed alone is held back as peers are.
func TestWebSeedLimit(t *testing.T) {
	forEachLimit(t, func(t *testing.T, w *web, l rateLimit, data []byte, mi *metainfo.MetaInfo, over time.Duration) {
		ws := w.serve(simnet.Link{}, bytesHandler(data))
		var opt torrent.Options
		add := torrent.AddOptions{Storage: storage.NewMemoryLike(data)}
		l.apply(&opt, &add, false)
		g := w.add(w.session(simnet.Link{}, opt), withoutTrackers(with(mi, ws.url)), add)
		for g.Stats().Downloaded == 0 {
			time.Sleep(time.Second)
		}
		time.Sleep(settleTime(l.rate))
		before := g.Stats().Downloaded
		time.Sleep(over)
		checkRate(t, l, g.Stats().Downloaded-before, over)
	})
}

// TestLimitOfManyTorrents: the session's limit holds for its torrents together,
// and each has its share.
func TestLimitOfManyTorrents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		const rate, n = 400_000, 3
		from := w.session(simnet.Link{}, torrent.Options{Up: rate})
		to := w.session(simnet.Link{}, torrent.Options{})
		var seeds []*torrent.Torrent
		for i := range n {
			data, mi := makeTorrent(t, 8<<20+i, 128<<10)
			seeds = append(seeds, w.add(from, mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}))
			w.add(to, withoutTrackers(mi), torrent.AddOptions{Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{from.Addr()}})
		}
		time.Sleep(5 * time.Second)
		var before [n]int64
		for i, s := range seeds {
			before[i] = s.Stats().Uploaded
		}
		const over = 20 * time.Second
		time.Sleep(over)
		total := int64(0)
		for i, s := range seeds {
			got := s.Stats().Uploaded - before[i]
			total += got
			if share := float64(got) * n / rate / over.Seconds(); share < 0.9 || share > 1.1 {
				t.Errorf("torrent %d had %.3f of its share", i, share)
			}
		}
		checkRate(t, rateLimit{rate: rate}, total, over)
	})
}

// without returns the torrent without trackers.
func withoutTrackers(mi *metainfo.MetaInfo) *metainfo.MetaInfo {
	c := *mi
	c.AnnounceList = nil
	return &c
}
