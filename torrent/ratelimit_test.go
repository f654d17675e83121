package torrent_test

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/ratelimit"
	"spate/internal/simnet"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// rateLimit is a limit in bytes/s of one session or of its torrent.
type rateLimit struct {
	rate       int64
	perTorrent bool // the limit applies to the torrent instead of the session
}

// apply sets the limit in the options, for uploads if up is set, else for downloads.
func (l rateLimit) apply(opt *torrent.Options, add *torrent.AddOptions, up bool) {
	to := map[bool]map[bool]*int64{
		true:  {true: &add.Up, false: &add.Down},
		false: {true: &opt.Up, false: &opt.Down},
	}
	*to[l.perTorrent][up] = l.rate
}

// rates are the limits that are tested, in bytes/s, from very slow to very fast.
var rates = []int64{2_000, 30_000, 1_000_000, 10_000_000}

// forEachLimit runs f for each rate, as a limit of the session and of the torrent.
// f measures the transfer for the time over, which is so long that a single block
// makes no difference; data is long enough for it.
func forEachLimit(t *testing.T, f func(t *testing.T, w *web, l rateLimit, data []byte, mi *metainfo.MetaInfo, over time.Duration)) {
	for _, rate := range rates {
		over := max(2*time.Second, time.Duration(4e6/float64(rate)*float64(time.Second)))
		size := int(1.1*(over+settleTime(rate)).Seconds()*float64(rate)) + 8<<20
		data, mi := makeTorrent(t, size, 256<<10)
		for _, perTorrent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/torrent=%v", rate, perTorrent), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWeb(t)
					defer w.end()
					f(t, w, rateLimit{rate, perTorrent}, data, mi, over)
				})
			})
		}
	}
}

// checkRate checks that got bytes in the time over differ from the limit by at most
// 2 %.
func checkRate(t *testing.T, l rateLimit, got int64, over time.Duration) {
	t.Helper()
	want := float64(l.rate) * over.Seconds()
	if off := float64(got)/want - 1; math.Abs(off) > 0.02 {
		t.Errorf("%d bytes were transferred in %v, %+.2f %% off the limit of %d bytes/s, want at most 2 %%", got, over, 100*off, l.rate)
	}
}

// settleTime returns how long a test waits before it measures a rate.
func settleTime(rate int64) time.Duration {
	return 2*time.Second + time.Duration(2e5/float64(rate)*float64(time.Second))
}

// TestUploadLimit checks that a seed with an upload limit sends exactly at the limit
// to three peers, and an equal share to each.
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
				t.Errorf("getter %d received %.3f times its share", i, share)
			}
		}
	})
}

// uplink is a limit that all connections of several sessions share.
type uplink struct {
	*ratelimit.Limiter
	open *atomic.Int32 // connections that use the limit
}

func (u uplink) Close() { u.open.Add(-1) }

// TestUplink checks that sessions with a common uplink send exactly at its limit together, and
// that they close the limits of connections that have ended.
func TestUplink(t *testing.T) {
	t.Parallel()
	const rate, over = 1_000_000, 10 * time.Second
	data, mi := makeTorrent(t, 16<<20, 256<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		line := uplink{ratelimit.New(rate), new(atomic.Int32)}
		share := func(net.Conn) torrent.SendLimit {
			line.open.Add(1)
			return line
		}
		var seeds []*torrent.Torrent
		for range 2 {
			s := w.session(simnet.Link{}, torrent.Options{NoPEX: true, Uplink: share})
			seeds = append(seeds, w.add(s, withoutTrackers(mi), torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true}))
			w.add(w.session(simnet.Link{}, torrent.Options{NoPEX: true}), withoutTrackers(mi), torrent.AddOptions{
				Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{s.Addr()},
			})
		}
		sent := func() int64 { return seeds[0].Stats().Uploaded + seeds[1].Stats().Uploaded }
		time.Sleep(settleTime(rate))
		before := sent()
		time.Sleep(over)
		checkRate(t, rateLimit{rate: rate}, sent()-before, over)
		if n := line.open.Load(); n != 2 {
			t.Errorf("%d connections use the limit, want 2", n)
		}
		w.end()
		if n := line.open.Load(); n != 0 {
			t.Errorf("%d connections use the limit after all have ended", n)
		}
	})
}

// TestDownloadLimit checks that a session with a download limit receives exactly at
// the limit from three peers and a web seed, and receives no byte twice.
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
			t.Errorf("%d bytes were received in the first %v, want at most %d", first, settleTime(l.rate), int64(most))
		}
		time.Sleep(over)
		checkRate(t, l, g.Stats().Downloaded-first, over)
		if n := g.Stats().Wasted; n > 0 {
			t.Errorf("%d bytes were received twice: peers that the limit slows down must not count as silent", n)
		}
	})
}

// TestWebSeedLimit checks that the download limit applies to a web seed without
// peers.
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

// TestSessionLimitIsShared checks that the upload limit of a session applies to all
// its torrents together, and that each torrent gets an equal share.
func TestSessionLimitIsShared(t *testing.T) {
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
				t.Errorf("torrent %d sent %.3f times its share", i, share)
			}
		}
		checkRate(t, rateLimit{rate: rate}, total, over)
	})
}

// withoutTrackers returns the same torrent without trackers.
func withoutTrackers(mi *metainfo.MetaInfo) *metainfo.MetaInfo {
	c := *mi
	c.AnnounceList = nil
	return &c
}

// TestFirstCopyGoesFirst checks that a torrent of which no peer has a full copy gets most of the
// limit of its session, and the other torrents the rest.
func TestFirstCopyGoesFirst(t *testing.T) {
	t.Parallel()
	const rate, over = 1_000_000, 8 * time.Second
	oldData, oldInfo := makeTorrent(t, 4<<20, 64<<10)
	newData, newInfo := makeTorrent(t, 16<<20, 64<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		s := w.session(simnet.Link{}, torrent.Options{NoPEX: true, Up: rate})
		seed := func(data []byte, mi *metainfo.MetaInfo) *torrent.Torrent {
			return w.add(s, withoutTrackers(mi), torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		}
		get := func(data []byte, mi *metainfo.MetaInfo) {
			w.add(w.session(simnet.Link{}, torrent.Options{NoPEX: true}), withoutTrackers(mi), torrent.AddOptions{
				Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{s.Addr()},
			})
		}
		old, fresh := seed(oldData, oldInfo), seed(newData, newInfo)
		for range 2 {
			get(oldData, oldInfo)
		}
		for old.Stats().Uploaded < 2*int64(len(oldData)) {
			time.Sleep(time.Second)
		}
		get(oldData, oldInfo)
		get(newData, newInfo)
		time.Sleep(settleTime(rate))
		oldBefore, freshBefore := old.Stats().Uploaded, fresh.Stats().Uploaded
		time.Sleep(over)
		second, first := old.Stats().Uploaded-oldBefore, fresh.Stats().Uploaded-freshBefore
		checkRate(t, rateLimit{rate: rate}, second+first, over)
		if part := float64(second) / rate / over.Seconds(); part < 0.15 || part > 0.3 {
			t.Errorf("a second copy gets %.2f of the limit beside a first one, want 0.2", part)
		}
		w.end()
	})
}
