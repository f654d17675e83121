package torrent_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/storage"
	"spate/torrent"
)

// TestSeedModes seeds to peers with fast and with slow links, which know nobody
// else: one after the other, the fast ones get much more; with anti-leech they do
// not.
func TestSeedModes(t *testing.T) {
	data, mi := makeTorrent(t, 32<<20, 64<<10)
	ratio := map[torrent.SeedMode]float64{}
	for _, mode := range []torrent.SeedMode{torrent.SeedRoundRobin, torrent.SeedAntiLeech} {
		synctest.Test(t, func(t *testing.T) {
			w := newWeb(t)
			defer w.end()
			from := w.session(simnet.Link{Up: 96 << 10}, torrent.Options{SeedMode: mode})
			w.add(from, withoutTrackers(mi), torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
			var all []*torrent.Torrent
			for i := range 12 {
				link := simnet.Link{}
				if i%2 == 1 {
					link.Down = 6 << 10
				}
				s := w.session(link, torrent.Options{NoPEX: true})
				all = append(all, w.add(s, withoutTrackers(mi), torrent.AddOptions{
					Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{from.Addr()},
				}))
			}
			time.Sleep(20 * time.Minute)
			var got [2]int64
			for i, tor := range all {
				got[i%2] += tor.Stats().Downloaded
			}
			ratio[mode] = float64(got[0]) / float64(got[1])
		})
	}
	t.Logf("the fast ones had %.1f times as much, with anti-leech %.1f", ratio[torrent.SeedRoundRobin], ratio[torrent.SeedAntiLeech])
	if ratio[torrent.SeedAntiLeech] > 0.8*ratio[torrent.SeedRoundRobin] {
		t.Error("the mode makes no difference")
	}
}
