package torrent

import (
	"context"
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"spate/bencode"
	"spate/metainfo"
	"spate/storage"
)

// loopback is the address to which the sessions of tests bind.
var loopback = netip.MustParseAddr("127.0.0.1")

// noiseTorrent returns n random bytes and a v1 torrent of them without trackers.
func noiseTorrent(t testing.TB, n, pieceLength int) ([]byte, *metainfo.MetaInfo) {
	t.Helper()
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(data)
	var pieces []byte
	for i := 0; i < n; i += pieceLength {
		h := sha1.Sum(data[i:min(i+pieceLength, n)])
		pieces = append(pieces, h[:]...)
	}
	b := bencode.AppendDict(nil)
	b = bencode.AppendString(b, "info")
	b = bencode.AppendDict(b)
	b = bencode.AppendString(b, "length")
	b = bencode.AppendInt(b, int64(n))
	b = bencode.AppendString(b, "name")
	b = bencode.AppendString(b, fmt.Sprintf("noise-%d.bin", n))
	b = bencode.AppendString(b, "piece length")
	b = bencode.AppendInt(b, int64(pieceLength))
	b = bencode.AppendString(b, "pieces")
	b = bencode.AppendString(b, pieces)
	b = bencode.AppendEnd(bencode.AppendEnd(b))
	mi, err := metainfo.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return data, mi
}

// testSession starts a session on loopback that runs until the test ends.
func testSession(t testing.TB, opt Options) *Session {
	t.Helper()
	opt.Bind = loopback
	s, err := NewSession(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return s
}

// TestTransferOverTCP checks that a download between two sessions receives each
// byte once, both with the system calls of this platform and with the portable
// code.
func TestTransferOverTCP(t *testing.T) {
	for _, portable := range []bool{false, true} {
		t.Run(fmt.Sprintf("portable=%v", portable), func(t *testing.T) {
			t.Parallel()
			data, mi := noiseTorrent(t, 20<<20+123, 256<<10)
			seed := testSession(t, Options{portableIO: portable})
			added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
			get := testSession(t, Options{portableIO: portable})
			store := storage.NewMemoryLike(data)
			tor, err := get.Add(mi, AddOptions{Storage: store, Peers: []netip.AddrPort{seed.Addr()}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := tor.Wait(ctx); err != nil {
				t.Fatalf("the download did not complete: %v: %+v", err, tor.Stats())
			}
			got := make([]byte, len(data))
			if _, err := store.ReadAt(got, 0); err != nil || string(got) != string(data) {
				t.Fatalf("the downloaded data differs from the seed's, or ReadAt failed: %v", err)
			}
			if st := tor.Stats(); st.Wasted != 0 || st.Downloaded != int64(len(data)) {
				t.Errorf("downloaded %d bytes and wasted %d, want %d and 0", st.Downloaded, st.Wasted, len(data))
			}
		})
	}
}

// BenchmarkTransfer downloads 256 MiB between two sessions over loopback. The data
// stays in memory, so that only the engine and the sockets are measured.
func BenchmarkTransfer(b *testing.B) {
	data, mi := noiseTorrent(b, 256<<20, 1<<20)
	seed := testSession(b, Options{})
	if _, err := seed.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		get := testSession(b, Options{})
		tor, err := get.Add(mi, AddOptions{Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{seed.Addr()}})
		if err != nil {
			b.Fatal(err)
		}
		if err := tor.Wait(context.Background()); err != nil {
			b.Fatal(err)
		}
		get.Close()
	}
}
