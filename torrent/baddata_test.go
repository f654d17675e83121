package torrent_test

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// liar is a storage that gives wrong bytes for every n-th block.
type liar struct {
	storage.Storage
	every int64
}

func (l *liar) ReadAt(p []byte, off int64) (int, error) {
	n, err := l.Storage.ReadAt(p, off)
	const block = 16 << 10
	for at := off / block * block; at < off+int64(n); at += block {
		if at >= off && at/block%l.every == 0 {
			p[at-off] ^= 0x55
		}
	}
	return n, err
}

// TestLiarsAreFound has seeds that send wrong blocks now and then among honest
// ones: the data completes, exactly the liars are banned, and no honest peer is.
func TestLiarsAreFound(t *testing.T) {
	for name, liars := range map[string][]int64{
		"one that always lies":       {1},
		"one that lies now and then": {37},
		"three at once":              {5, 11, 23},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, mi := makeTorrent(t, 16<<20, 512<<10)
			synctest.Test(t, func(t *testing.T) { findLiars(t, data, mi, liars) })
		})
	}
}

// TestLiarsAreNamedByHashes does the same where the hashes of the blocks can be
// had (BEP 52): good blocks of bad pieces are kept, so little is wasted.
func TestLiarsAreNamedByHashes(t *testing.T) {
	for _, format := range []metainfo.Format{metainfo.V2, metainfo.Hybrid} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			data, mi := makeFile(t, 16<<20, 512<<10, format)
			synctest.Test(t, func(t *testing.T) {
				if wasted := findLiars(t, data, mi, []int64{5, 11, 23}); wasted > 2<<20 {
					t.Errorf("wasted %d KiB: the good blocks of bad pieces were not kept", wasted>>10)
				}
			})
		})
	}
}

// makeFile returns n bytes of noise and a torrent of them as maker makes it.
func makeFile(t testing.TB, n, pieceLength int, format metainfo.Format) ([]byte, *metainfo.MetaInfo) {
	t.Helper()
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(data)
	path := filepath.Join(t.TempDir(), "noise.bin")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	mi, err := maker.Make(context.Background(), path, maker.Options{Format: format, PieceLength: int64(pieceLength)})
	if err != nil {
		t.Fatal(err)
	}
	mi.AnnounceList = [][]string{{"http://tracker.example/announce"}}
	return data, mi
}

// findLiars returns how many bytes were wasted.
func findLiars(t *testing.T, data []byte, mi *metainfo.MetaInfo, liars []int64) int64 {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	world := simnet.New(simnet.Options{Seed: 7})
	r := newTestTracker()
	const honest = 3
	join := func(i int, opt torrent.AddOptions) *torrent.Torrent {
		addr := netip.AddrFrom4([4]byte{10, 0, 1, byte(i + 1)})
		s, err := torrent.NewSession(torrent.Options{
			Network: world.Host(addr, simnet.Link{Up: 10 * mbit, Latency: 10 * time.Millisecond}), Announcer: r.announcerAt(addr),
			Bind: addr, PeerPort: 6881, Seed: uint64(i + 1), PeerID: spate.PeerID([]byte{'-', 'S', 'P', '0', 18: 0, 19: byte(i)}),
		})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { s.Run(ctx) })
		tor, err := s.Add(mi, opt)
		if err != nil {
			t.Fatal(err)
		}
		return tor
	}
	for i := range honest {
		join(i, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	}
	bad := map[string]bool{}
	for i, every := range liars {
		join(honest+i, torrent.AddOptions{Storage: &liar{storage.NewMemoryOf(data), every}, Verified: true, PlainSeed: true})
		bad[netip.AddrFrom4([4]byte{10, 0, 1, byte(honest + i + 1)}).String()] = true
	}
	time.Sleep(time.Second)
	store := storage.NewMemoryLike(data)
	get := join(100, torrent.AddOptions{Storage: store})
	wait, done := context.WithTimeout(ctx, 10*time.Minute)
	defer done()
	if err := get.Wait(wait); err != nil {
		t.Fatalf("%v: %+v", err, get.Stats())
	}
	got := make([]byte, len(data))
	if _, err := store.ReadAt(got, 0); err != nil || string(got) != string(data) {
		t.Errorf("other data was kept (%v)", err)
	}
	banned := get.Banned()
	if len(banned) != len(bad) {
		t.Errorf("banned %v, want exactly %v", banned, bad)
	}
	for _, a := range banned {
		if !bad[a.Addr().String()] {
			t.Errorf("banned %v, who is honest", a)
		}
	}
	wasted := get.Stats().Wasted
	t.Logf("wasted %d KiB", wasted>>10)
	return wasted
}
