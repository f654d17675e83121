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

// badStorage is a storage that returns wrong bytes for every n-th block.
type badStorage struct {
	storage.Storage
	every int64
}

func (s *badStorage) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.Storage.ReadAt(p, off)
	const block = 16 << 10
	for at := off / block * block; at < off+int64(n); at += block {
		if at >= off && at/block%s.every == 0 {
			p[at-off] ^= 0x55
		}
	}
	return n, err
}

// TestSendersOfBadDataAreBanned checks that a download from honest seeds and from seeds that
// send bad blocks completes, and that exactly the seeds that sent bad blocks are banned.
func TestSendersOfBadDataAreBanned(t *testing.T) {
	for name, bad := range map[string][]int64{
		"every block of one seed":    {1},
		"some blocks of one seed":    {37},
		"some blocks of three seeds": {5, 11, 23},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, mi := makeTorrent(t, 16<<20, 512<<10)
			synctest.Test(t, func(t *testing.T) { banSenders(t, data, mi, bad) })
		})
	}
}

// TestBlockHashesSaveGoodBlocks checks that a download keeps the good blocks of bad pieces,
// and so wastes little, if peers send the hashes of blocks (BEP 52).
func TestBlockHashesSaveGoodBlocks(t *testing.T) {
	for _, format := range []metainfo.Format{metainfo.V2, metainfo.Hybrid} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			data, mi := makeFile(t, 16<<20, 512<<10, format)
			synctest.Test(t, func(t *testing.T) {
				if wasted := banSenders(t, data, mi, []int64{5, 11, 23}); wasted > 2<<20 {
					t.Errorf("wasted %d KiB: the good blocks of bad pieces were not kept", wasted>>10)
				}
			})
		})
	}
}

// makeFile returns n random bytes and a torrent of them, made by package maker.
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

// banSenders downloads from three honest seeds and from one bad seed for each number n in
// every. The bad seed sends every n-th block wrong. banSenders checks the data and the bans,
// and returns how many bytes were wasted.
func banSenders(t *testing.T, data []byte, mi *metainfo.MetaInfo, every []int64) int64 {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	world := simnet.New(simnet.Options{Seed: 7})
	r := newMemTracker()
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
	for i, n := range every {
		join(honest+i, torrent.AddOptions{Storage: &badStorage{storage.NewMemoryOf(data), n}, Verified: true, PlainSeed: true})
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
		t.Errorf("wrong data was kept (%v)", err)
	}
	banned := get.Banned()
	if len(banned) != len(bad) {
		t.Errorf("banned %v, want exactly %v", banned, bad)
	}
	for _, a := range banned {
		if !bad[a.Addr().Addr().String()] {
			t.Errorf("banned the honest peer %v", a)
		}
	}
	wasted := get.Stats().Wasted
	t.Logf("wasted %d KiB", wasted>>10)
	return wasted
}
