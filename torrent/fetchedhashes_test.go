package torrent

import (
	"context"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spate"
	"spate/internal/source"
	"spate/maker"
	"spate/metainfo"
	"spate/peerwire"
	"spate/publish"
	"spate/site"
	"spate/storage"
)

// TestFetchedV2HashesBlameABlock checks that a download from a release page, whose v1 torrent is too
// large for its v2 hashes, fetches them from /t/REF.v2, and that they tell which block of a piece of
// two senders is bad: only this block is requested again, and only its sender is banned.
func TestFetchedV2HashesBlameABlock(t *testing.T) {
	t.Parallel()
	data, mi := torrentFromPage(t)
	var blockHashes []byte
	for _, h := range hashBlocks(data) {
		blockHashes = append(blockHashes, h[:]...)
	}
	withSimSession(t, Options{}, func(y *simSession) {
		tor := added(t, y.s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
		dial := func() *scriptedPeer {
			f := y.dial(mi.Hash())
			f.send(peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{V2Hashes: true}))
			f.send(peerwire.AppendSimple(nil, peerwire.HaveAll))
			f.send(peerwire.AppendSimple(nil, peerwire.Unchoke))
			return f
		}
		send := func(f *scriptedPeer, m peerwire.Message, flip byte) {
			b := append(peerwire.AppendPieceHeader(nil, 0, m.Begin, m.Length), data[m.Begin:][:m.Length]...)
			b[len(b)-1] ^= flip
			f.send(b)
		}
		const bad = 32 << 10
		liar := dial()
		for range 4 {
			if m := liar.await(peerwire.Request); m.Begin == bad {
				send(liar, m, 1)
			} else {
				liar.send(peerwire.AppendSimple(nil, peerwire.Choke))
				liar.send(peerwire.AppendBlock(nil, peerwire.Reject, 0, m.Begin, m.Length))
			}
		}
		honest := dial()
		for range 3 {
			send(honest, honest.await(peerwire.Request), 0)
		}
		m := liar.await(peerwire.HashRequest)
		r, _, err := peerwire.ParseHashRange(m.ID, m.Payload)
		if err != nil || r.PiecesRoot != [32]byte(mi.V2Hashes.PieceRoot(0)) {
			t.Fatalf("the session requests hashes below %x (%v), want the root that it has fetched", r.PiecesRoot, err)
		}
		liar.send(peerwire.AppendHashRange(nil, peerwire.HashReject, &r, nil))
		honest.await(peerwire.HashRequest)
		honest.send(peerwire.AppendHashRange(nil, peerwire.Hashes, &r, blockHashes))
		if m := honest.await(peerwire.Request); m.Begin != bad {
			t.Errorf("the block at %d is requested again, want only the bad one at %d", m.Begin, bad)
		} else {
			send(honest, m, 0)
		}
		until(t, "the download is complete", func() bool { return tor.Stats().State == StateSeeding })
		if b := tor.Banned(); len(b) != 1 || b[0].Addr().Addr() != addrOf(liar) {
			t.Errorf("banned %v, want the sender of the bad block %v", b, addrOf(liar))
		}
		if st := tor.Stats(); st.Downloaded != int64(len(data))+16<<10 {
			t.Errorf("downloaded %d bytes, want the data of %d bytes and one block", st.Downloaded, len(data))
		}
	})
}

// seedsNothing is a seeder of releases that need none.
type seedsNothing struct{}

func (seedsNothing) Seed(context.Context, *metainfo.MetaInfo, string, bool) error { return nil }
func (seedsNothing) Unseed(context.Context, spate.InfoHash) error                 { return nil }

// torrentFromPage publishes a file of one piece whose .torrent leaves out the v2 hashes, and returns
// its data and its torrent as get finds it by the page.
func torrentFromPage(t *testing.T) ([]byte, *metainfo.MetaInfo) {
	t.Helper()
	data, _ := noiseTorrent(t, 64<<10, 64<<10)
	path := filepath.Join(t.TempDir(), "a.iso")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	base := &url.URL{Scheme: "http", Host: srv.Listener.Addr().String()}
	p, err := publish.New(publish.MakerFunc(maker.Make), seedsNothing{}, publish.Options{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	spec := publish.Spec{Options: maker.Options{PieceLength: 64 << 10, Collections: slices.Repeat([]string{strings.Repeat("c", 8000)}, 1300)}} // larger than other programs accept
	if _, err := p.Publish(t.Context(), path, spec); err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler, err = site.New(p.Catalog(), site.Options{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	defer srv.Close()
	r := &source.Resolver{}
	src, err := r.Resolve(t.Context(), base.JoinPath("r", "a.iso").String())
	if err == nil {
		err = r.FetchTorrent(t.Context(), src)
	}
	if err != nil {
		t.Fatal(err)
	}
	mi, err := src.Parse()
	if err != nil {
		t.Fatal(err)
	}
	if mi.V2Hashes != nil || mi.Info.HasV2() {
		t.Fatal("the .torrent has v2 hashes")
	}
	r.AddV2Hashes(t.Context(), src, mi)
	if mi.V2Hashes == nil {
		t.Fatal("the v2 hashes were not fetched")
	}
	return data, mi
}
