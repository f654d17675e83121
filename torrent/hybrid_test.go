package torrent

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"spate"
	"spate/maker"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// hybridOf returns n bytes of noise and a hybrid torrent of them.
func hybridTorrent(t testing.TB, n, pieceLength int) ([]byte, *metainfo.MetaInfo) {
	t.Helper()
	return torrentOfFormat(t, n, pieceLength, metainfo.Hybrid)
}

// madeOf returns n bytes of noise and a torrent of them as maker makes it.
func torrentOfFormat(t testing.TB, n, pieceLength int, format metainfo.Format) ([]byte, *metainfo.MetaInfo) {
	t.Helper()
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), 3}).Read(data)
	path := filepath.Join(t.TempDir(), "noise.bin")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	mi, err := maker.Make(context.Background(), path, maker.Options{Format: format, PieceLength: int64(pieceLength)})
	if err != nil {
		t.Fatal(err)
	}
	return data, mi
}

// withoutLayers is a torrent as a magnet link leads to it.
func withoutLayers(t testing.TB, mi *metainfo.MetaInfo) *metainfo.MetaInfo {
	t.Helper()
	bare, err := metainfo.FromInfo(mi.InfoBytes)
	if err != nil {
		t.Fatal(err)
	}
	if bare.MissingLayers() == 0 {
		t.Fatal("nothing is missing: the test shows nothing")
	}
	return bare
}

func v2HashOf(mi *metainfo.MetaInfo) [20]byte {
	h, _ := mi.HashV2()
	return h.Truncate()
}

// TestHybridByMagnet has a hybrid that came without its piece layers get them from
// a v2 peer, and serve v2 peers from then on.
func TestHybridByMagnet(t *testing.T) {
	t.Parallel()
	data, mi := hybridTorrent(t, 1<<20, 32<<10)
	seed, get := testSession(t, Options{}), testSession(t, Options{})
	added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	tor, err := get.Add(withoutLayers(t, mi), AddOptions{Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{seed.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := tor.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	until(t, "the piece layers are there", func() bool { return tor.MetaInfo().MissingLayers() == 0 })
	f := dialFoe(t, get.Addr(), v2HashOf(mi), everything())
	f.send(peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.HaveNone), peerwire.Interested))
	f.await(peerwire.Unchoke)
	f.send(peerwire.AppendBlock(nil, peerwire.Request, 3, 0, 16<<10))
	if m := f.await(peerwire.Piece); !bytes.Equal(m.Payload, data[3*32<<10:][:16<<10]) {
		t.Error("other data came")
	}
}

// TestHalfKnownIsNotServed has a seed of a hybrid that knows no piece layers: a v1
// peer is served, a v2 peer only once it says that it knows none either.
func TestHalfKnownIsNotServed(t *testing.T) {
	t.Parallel()
	data, mi := hybridTorrent(t, 1<<20, 32<<10)
	s := testSession(t, Options{})
	added(t, s, withoutLayers(t, mi), AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	hello := peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.HaveNone), peerwire.Interested)
	v1 := dialFoe(t, s.Addr(), mi.Hash(), everything())
	v1.send(hello)
	v1.await(peerwire.Unchoke)
	v2 := dialFoe(t, s.Addr(), v2HashOf(mi), everything())
	v2.send(hello)
	ask := v2.await(peerwire.HashRequest)
	r, _, err := peerwire.ParseHashRange(ask.ID, ask.Payload)
	if err != nil {
		t.Fatal(err)
	}
	v2.send(peerwire.AppendBlock(nil, peerwire.Request, 0, 0, 16<<10))
	if m, err := v2.next(); err != nil || m.ID != peerwire.Reject {
		t.Fatalf("%v in place of a refusal (%v)", m.ID, err)
	}
	v2.send(peerwire.AppendHashRange(nil, peerwire.HashReject, &r, nil))
	v2.await(peerwire.Unchoke)
}

// differing returns a hybrid whose halves describe different data, the data of its v2
// and of its v1 half, and the same torrent without its piece layers.
func mismatchedHybrid(t *testing.T) (v2, v1 []byte, whole, bare *metainfo.MetaInfo) {
	t.Helper()
	v2, mi := hybridTorrent(t, 256<<10, 32<<10)
	v1 = bytes.Clone(v2)
	v1[len(v1)-1] ^= 1 // of the last piece alone
	var pieces []byte
	for b := v1; len(b) > 0; b = b[32<<10:] {
		h := sha1.Sum(b[:32<<10])
		pieces = append(pieces, h[:]...)
	}
	bare, err := metainfo.FromInfo(bytes.Replace(mi.InfoBytes, mi.Info.Pieces, pieces, 1))
	if err != nil {
		t.Fatal(err)
	}
	full := *bare
	full.PieceLayers = mi.PieceLayers
	return v2, v1, &full, bare
}

// TestHalvesThatDiffer adds hybrids whose halves describe different data: they
// halt, and nobody is banned for it.
func TestHalvesThatDiffer(t *testing.T) {
	t.Parallel()
	data, other, whole, bad := mismatchedHybrid(t)
	for name, c := range map[string]struct {
		mi   *metainfo.MetaInfo
		data []byte
	}{
		"v1 data by file": {whole, other}, "v2 data by file": {whole, data},
		"v1 data by magnet": {bad, other},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed, get := testSession(t, Options{}), testSession(t, Options{})
			added(t, seed, whole, AddOptions{Storage: storage.NewMemoryOf(c.data), Verified: true})
			tor, err := get.Add(c.mi, AddOptions{Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{seed.Addr()}})
			if err != nil {
				t.Fatal(err)
			}
			until(t, "halted because of its halves", func() bool { return errors.Is(tor.Stats().Err, ErrHybridMismatch) })
			if len(tor.Banned()) > 0 {
				t.Errorf("banned %v", tor.Banned())
			}
		})
	}
}

// TestAskedByBothHashes has a peer of a hybrid that does not answer be asked by the
// other hash the next time: it may know one half alone.
func TestAskedByBothHashes(t *testing.T) {
	t.Parallel()
	data, mi := hybridTorrent(t, 256<<10, 32<<10)
	inYard(t, Options{}, func(y *yard) {
		h := y.host()
		l, err := h.Listen(t.Context(), "tcp", ":6881")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := y.s.Add(mi, AddOptions{
			Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{netip.AddrPortFrom(h.Addr(), 6881)},
		}); err != nil {
			t.Fatal(err)
		}
		v1, v2 := mi.Hash(), spate.InfoHash(v2HashOf(mi))
		for i, want := range []spate.InfoHash{v1, v2, v1, v2} {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			hs, err := readHandshake(c)
			if err != nil || hs.InfoHash != want {
				t.Errorf("asked by %v the %d. time, want %v (%v)", hs.InfoHash, i+1, want, err)
			}
			if i < 3 {
				c.Close()
				continue
			}
			f := &foe{t: t, c: c}
			y.foes = append(y.foes, f)
			hs = peerwire.Handshake{Reserved: everything(), InfoHash: v2, PeerID: spate.NewPeerID()}
			f.send(peerwire.AppendSimple(hs.Append(nil), peerwire.HaveAll))
			f.await(peerwire.Interested)
		}
	})
}

// TestHalfApprovedIsCheckedAgain downloads a hybrid whose halves differ by its v1
// half, and adds it again with its piece layers: what is remembered was not held
// against those, so it is not believed.
func TestHalfApprovedIsCheckedAgain(t *testing.T) {
	t.Parallel()
	_, data, whole, bare := mismatchedHybrid(t)
	seed := testSession(t, Options{})
	added(t, seed, bare, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	opt := AddOptions{Dir: t.TempDir(), Peers: []netip.AddrPort{seed.Addr()}}
	state := t.TempDir()
	get := testSession(t, Options{ResumeDir: state})
	tor, err := get.Add(bare, opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := tor.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	get.Close()
	if tor, err = testSession(t, Options{ResumeDir: state}).Add(whole, opt); err != nil {
		t.Fatal(err)
	}
	until(t, "halted because of its halves", func() bool { return errors.Is(tor.Stats().Err, ErrHybridMismatch) })
}
