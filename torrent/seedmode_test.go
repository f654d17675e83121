package torrent_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// TestAntiLeechEvensOutDownloads checks that a seed with SeedAntiLeech sends peers
// with fast links less in proportion to peers with slow links than a seed with
// SeedRoundRobin does. The peers exchange no data with each other.
func TestAntiLeechEvensOutDownloads(t *testing.T) {
	t.Parallel()
	data, mi := makeTorrent(t, 32<<20, 64<<10)
	var ratio [2]float64
	for i, mode := range []torrent.SeedMode{torrent.SeedRoundRobin, torrent.SeedAntiLeech} {
		var got [2]int64
		for seed := range uint64(3) { // one swarm depends too much on who comes first
			synctest.Test(t, func(t *testing.T) {
				fast, slow := unequalDownloads(t, seed+1, mode, data, mi)
				got[0] += fast
				got[1] += slow
			})
		}
		ratio[i] = float64(got[0]) / float64(got[1])
	}
	t.Logf("fast peers received %.2f times as much as slow ones, with anti-leech %.2f times", ratio[0], ratio[1])
	if ratio[1] > 0.9*ratio[0] {
		t.Errorf("fast peers received %.2f times as much as slow ones with anti-leech, and %.2f times without, want at most 0.9 of that", ratio[1], ratio[0])
	}
}

// unequalDownloads returns what six peers with fast links and six with slow ones receive from a
// seed in 20 minutes.
func unequalDownloads(t *testing.T, seed uint64, mode torrent.SeedMode, data []byte, mi *metainfo.MetaInfo) (fast, slow int64) {
	w := newWeb(t)
	w.net = simnet.New(simnet.Options{Seed: seed, Lockstep: true}) // the same result in each run
	defer w.end()
	from := w.session(simnet.Link{Up: 96 << 10}, torrent.Options{SeedMode: mode, Seed: 100 + seed})
	w.add(from, withoutTrackers(mi), torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	var all []*torrent.Torrent
	for i := range 12 {
		link := simnet.Link{}
		if i%2 == 1 {
			link.Down = 6 << 10
		}
		s := w.session(link, torrent.Options{NoPEX: true, Seed: uint64(i + 2)})
		all = append(all, w.add(s, withoutTrackers(mi), torrent.AddOptions{
			Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{from.Addr()},
		}))
	}
	time.Sleep(20 * time.Minute)
	for i := 0; i < len(all); i += 2 {
		fast += all[i].Stats().Downloaded
		slow += all[i+1].Stats().Downloaded
	}
	return fast, slow
}
