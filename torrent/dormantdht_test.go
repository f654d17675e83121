package torrent

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"spate/discovery"
	"spate/storage"
)

// TestDHTWakesDormantTorrent checks that a dormant torrent connects to a leecher that the DHT names,
// which knows no other peer.
func TestDHTWakesDormantTorrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDormantWorld(t, Options{})
		l, _ := noiseFile(t, 100_000)
		if _, _, err := w.seed.AddDormant(l); err != nil {
			t.Fatal(err)
		}
		tor, err := w.get.Add(l.mi, AddOptions{Storage: storage.NewMemory(100_000)})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the leecher listens
		other := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.9"), 6881)
		for _, addr := range []netip.AddrPort{other, w.get.Addr()} {
			if !w.seed.Found(l.mi.Hash(), discovery.Candidate{Addr: addr}, discovery.DHT) {
				t.Error("the peer was refused")
			}
		}
		select {
		case <-tor.Done():
		case <-time.After(time.Minute):
			t.Fatalf("the leecher got %d bytes", tor.Stats().Downloaded)
		}
		time.Sleep(10 * time.Minute) // the torrent is dormant again
		w.seed.mu.Lock()
		defer w.seed.mu.Unlock()
		if d := w.seed.dormant.by[l.mi.Hash()]; w.seed.dormant.awake != 0 || d.byDHT != (dhtWakes{}) {
			t.Errorf("%d torrents are awake; the wake that served a leecher counts as %+v", w.seed.dormant.awake, d.byDHT)
		}
	})
}

// TestUselessPeersOfDHTWakeRarely checks that an address that never answers, which the DHT names every
// five minutes, wakes a dormant torrent less and less often, that seeds and peers of private torrents
// do not, and that a burst of peers wakes at most half of the torrents that may be awake.
func TestUselessPeersOfDHTWakeRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conns, all = 2, maxExtraAwake
		w := newDormantWorld(t, Options{MaxConns: conns})
		dead := discovery.Candidate{Addr: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.9"), 6881)}
		var first fileLoader
		for i := range all {
			l, _ := noiseFile(t, 1000+i)
			if i == 0 {
				first = l
			}
			l.mi.Info.Private = i == 1
			if _, _, err := w.seed.AddDormant(l); err != nil {
				t.Fatal(err)
			}
		}
		awake := func() int {
			synctest.Wait()
			w.seed.mu.Lock()
			defer w.seed.mu.Unlock()
			return w.seed.dormant.awake
		}
		find := func(peer discovery.Candidate) {
			for _, swarm := range w.seed.Swarms() {
				w.seed.Found(swarm.InfoHash, peer, discovery.DHT)
			}
		}
		find(discovery.Candidate{Addr: dead.Addr, Seed: true})
		if n := awake(); n != 0 {
			t.Errorf("%d torrents are awake for a seed", n)
		}
		find(dead)
		if n := awake(); n == 0 || n > (conns+maxExtraAwake)/2+1 {
			t.Errorf("a burst wakes %d torrents", n)
		}
		time.Sleep(30 * time.Minute) // all are dormant again
		wakes, was := 0, false
		for range 24 * 12 {
			w.seed.Found(first.mi.Hash(), dead, discovery.DHT)
			is := awake() > 0
			if is && !was {
				wakes++
			}
			was = is
			time.Sleep(5 * time.Minute)
		}
		if wakes < 4 || wakes > 6 {
			t.Errorf("a dead address wakes the torrent %d times in a day", wakes)
		}
	})
}
