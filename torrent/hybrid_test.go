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

// hybridTorrent returns n random bytes and a hybrid torrent of them.
func hybridTorrent(t testing.TB, n, pieceLength int) ([]byte, *metainfo.MetaInfo) {
	t.Helper()
	return torrentOfFormat(t, n, pieceLength, metainfo.Hybrid)
}

// torrentOfFormat returns n random bytes and a torrent of them in a format.
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

// withoutLayers returns the same torrent without piece layers, as a magnet link
// leads to it.
func withoutLayers(t testing.TB, mi *metainfo.MetaInfo) *metainfo.MetaInfo {
	t.Helper()
	bare, err := metainfo.FromInfo(mi.InfoBytes)
	if err != nil {
		t.Fatal(err)
	}
	if bare.MissingLayers() == 0 {
		t.Fatal("no piece layers are missing, so that the test checks nothing")
	}
	return bare
}

// v2HashOf returns the truncated v2 info-hash of a torrent.
func v2HashOf(mi *metainfo.MetaInfo) [20]byte {
	h, _ := mi.HashV2()
	return h.Truncate()
}

// TestHybridFromMagnetLink checks that a hybrid torrent without piece layers gets
// them from a peer, and then serves v2 peers.
func TestHybridFromMagnetLink(t *testing.T) {
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
	until(t, "the piece layers are complete", func() bool { return tor.MetaInfo().MissingLayers() == 0 })
	f := dialPeer(t, get.Addr(), v2HashOf(mi), extendedAndFast())
	f.send(peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.HaveNone), peerwire.Interested))
	f.await(peerwire.Unchoke)
	f.send(peerwire.AppendBlock(nil, peerwire.Request, 3, 0, 16<<10))
	if m := f.await(peerwire.Piece); !bytes.Equal(m.Payload, data[3*32<<10:][:16<<10]) {
		t.Error("the block that the v2 peer received has wrong data")
	}
}

// TestHybridWithoutLayersServesV1Peers checks that a seed of a hybrid torrent
// without piece layers serves v1 peers at once, but a v2 peer only after that peer
// has rejected a request for the hashes.
func TestHybridWithoutLayersServesV1Peers(t *testing.T) {
	t.Parallel()
	data, mi := hybridTorrent(t, 1<<20, 32<<10)
	s := testSession(t, Options{})
	added(t, s, withoutLayers(t, mi), AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	hello := peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.HaveNone), peerwire.Interested)
	v1 := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	v1.send(hello)
	v1.await(peerwire.Unchoke)
	v2 := dialPeer(t, s.Addr(), v2HashOf(mi), extendedAndFast())
	v2.send(hello)
	ask := v2.await(peerwire.HashRequest)
	r, _, err := peerwire.ParseHashRange(ask.ID, ask.Payload)
	if err != nil {
		t.Fatal(err)
	}
	v2.send(peerwire.AppendBlock(nil, peerwire.Request, 0, 0, 16<<10))
	if m, err := v2.next(); err != nil || m.ID != peerwire.Reject {
		t.Fatalf("the answer to a request of the v2 peer is %v (%v), want a reject", m.ID, err)
	}
	v2.send(peerwire.AppendHashRange(nil, peerwire.HashReject, &r, nil))
	v2.await(peerwire.Unchoke)
}

// mismatchedHybrid returns a hybrid torrent whose v1 and v2 hashes describe
// different data, both data, and the same torrent without piece layers.
func mismatchedHybrid(t *testing.T) (v2, v1 []byte, withLayers, bare *metainfo.MetaInfo) {
	t.Helper()
	v2, mi := hybridTorrent(t, 256<<10, 32<<10)
	v1 = bytes.Clone(v2)
	v1[len(v1)-1] ^= 1 // the data differs in the last piece only
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

// TestMismatchedHybridHalts checks that a hybrid torrent whose v1 and v2 hashes
// describe different data halts with ErrHybridMismatch and bans no peer.
func TestMismatchedHybridHalts(t *testing.T) {
	t.Parallel()
	v2Data, v1Data, withLayers, bare := mismatchedHybrid(t)
	for name, c := range map[string]struct {
		mi   *metainfo.MetaInfo
		data []byte
	}{
		"torrent file, v1 data": {withLayers, v1Data},
		"torrent file, v2 data": {withLayers, v2Data},
		"magnet link, v1 data":  {bare, v1Data},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed, get := testSession(t, Options{}), testSession(t, Options{})
			added(t, seed, withLayers, AddOptions{Storage: storage.NewMemoryOf(c.data), Verified: true})
			tor, err := get.Add(c.mi, AddOptions{Storage: storage.NewMemoryLike(v2Data), Peers: []netip.AddrPort{seed.Addr()}})
			if err != nil {
				t.Fatal(err)
			}
			until(t, "the torrent halts with ErrHybridMismatch", func() bool { return errors.Is(tor.Stats().Err, ErrHybridMismatch) })
			if len(tor.Banned()) > 0 {
				t.Errorf("the peers %v are banned, want none", tor.Banned())
			}
		})
	}
}

// TestHybridDialsWithBothHashes checks that the handshakes to a peer that does not
// answer use the v1 and the v2 info-hash in turn, because the peer may know only
// one of them.
func TestHybridDialsWithBothHashes(t *testing.T) {
	t.Parallel()
	data, mi := hybridTorrent(t, 256<<10, 32<<10)
	withSimSession(t, Options{Encryption: EncryptionOff}, func(y *simSession) {
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
				t.Errorf("handshake %d has the info-hash %v, want %v (%v)", i+1, hs.InfoHash, want, err)
			}
			if i < 3 {
				c.Close()
				continue
			}
			f := &scriptedPeer{t: t, c: c}
			y.peers = append(y.peers, f)
			hs = peerwire.Handshake{Reserved: extendedAndFast(), InfoHash: v2, PeerID: spate.NewPeerID()}
			f.send(peerwire.AppendSimple(hs.Append(nil), peerwire.HaveAll))
			f.await(peerwire.Interested)
		}
	})
}

// TestHybridIsCheckedAgainWithLayers checks that resume data of a hybrid torrent
// without piece layers is not trusted after the torrent is added with them,
// because only the v1 hashes were checked.
func TestHybridIsCheckedAgainWithLayers(t *testing.T) {
	t.Parallel()
	_, data, withLayers, bare := mismatchedHybrid(t)
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
	if tor, err = testSession(t, Options{ResumeDir: state}).Add(withLayers, opt); err != nil {
		t.Fatal(err)
	}
	until(t, "the torrent halts with ErrHybridMismatch", func() bool { return errors.Is(tor.Stats().Err, ErrHybridMismatch) })
}
