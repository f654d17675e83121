package site

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"

	"spate"
	"spate/maker"
	"spate/metainfo"
	"spate/publish"
	"spate/storage"
	"spate/torrent"
)

// objectStore stands for a store outside of the file system, such as S3. It detects that
// the object was replaced.
type objectStore struct {
	*storage.Memory
	version, accepted atomic.Int64
}

func (o *objectStore) Accept() error { o.accepted.Store(o.version.Load()); return nil }

func (o *objectStore) Check(_, _ int64) error {
	if o.version.Load() != o.accepted.Load() {
		return storage.ErrChanged
	}
	return nil
}

// sessionSeeder seeds with a session of the engine.
type sessionSeeder struct{ *torrent.Session }

func (s sessionSeeder) Seed(_ context.Context, m *metainfo.MetaInfo, path string, verified bool) error {
	panic("the release has no path")
}

func (s sessionSeeder) SeedStore(_ context.Context, m *metainfo.MetaInfo, st storage.Storage, verified bool) error {
	_, err := s.Add(m, torrent.AddOptions{Storage: st, Verified: verified, SeedOnly: true})
	return err
}

func (s sessionSeeder) Unseed(_ context.Context, ih spate.InfoHash) error { return s.Remove(ih) }

func newSession(t *testing.T) *torrent.Session {
	t.Helper()
	s, err := torrent.NewSession(torrent.Options{Bind: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended; s.Close() })
	return s
}

// TestStorePublication publishes data from a storage that is not in the file system. The
// engine and the site must send the data until the object changes.
func TestStorePublication(t *testing.T) {
	data := make([]byte, 3<<20+5)
	rand.NewChaCha8([32]byte{1}).Read(data)
	store := &objectStore{Memory: storage.NewMemoryOf(data)}
	session := newSession(t)
	ts := httptest.NewUnstartedServer(nil)
	base, _ := url.Parse("http://" + ts.Listener.Addr().String())
	p, err := publish.New(publish.MakerFunc(maker.Make), sessionSeeder{session}, publish.Options{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	site, err := New(p.Catalog(), Options{BaseURL: base, Open: p.Open})
	if err != nil {
		t.Fatal(err)
	}
	ts.Config.Handler = site
	ts.Start()
	t.Cleanup(ts.Close)
	rel, err := p.PublishStore(t.Context(), store, int64(len(data)), publish.Spec{Options: maker.Options{Name: "a.bin", Format: metainfo.Hybrid}})
	if err != nil {
		t.Fatal(err)
	}

	// Download over HTTP.
	get := func(ranges string) (int, []byte) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", ts.URL+publish.DownloadPath("a.bin"), nil)
		req.Header.Set("Range", ranges)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, got
	}
	if status, got := get(""); status != 200 || !bytes.Equal(got, data) {
		t.Errorf("the request for the whole file gave status %d and %d bytes, want 200 and the data", status, len(got))
	}
	if status, got := get("bytes=1000000-1999999"); status != 206 || !bytes.Equal(got, data[1000000:2000000]) {
		t.Errorf("the request for a part gave status %d and %d bytes, want 206 and the part", status, len(got))
	}

	// Download from the engine, in the swarm of the hybrid and in that of its v1 torrent.
	torrents, err := p.Catalog().Torrents(t.Context(), rel.Ref())
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range [][]byte{torrents.Main, torrents.Twin} {
		m, err := metainfo.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		m.WebSeeds, m.AnnounceList = nil, nil
		got := storage.NewMemory(m.Info.TotalLength())
		leecher, err := newSession(t).Add(m, torrent.AddOptions{Storage: storage.KeepOpen(got), Peers: []netip.AddrPort{session.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := leecher.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, len(data))
		if _, err := got.ReadAt(buf, 0); err != nil || !bytes.Equal(buf, data) {
			t.Errorf("the data downloaded from peers differs: %v", err)
		}
	}

	store.version.Add(1)
	if status, _ := get(""); status != http.StatusServiceUnavailable {
		t.Errorf("the request after the object changed gave status %d, want 503", status)
	}
	if err := p.Withdraw(t.Context(), "a.bin"); err != nil {
		t.Errorf("Withdraw: %v", err)
	}
	if n := len(session.Torrents()); n != 0 {
		t.Errorf("the session has %d torrents after Withdraw, want none", n)
	}
	if _, err := store.ReadAt(make([]byte, 1), 0); err != nil {
		t.Errorf("the store was closed, although it belongs to the caller: %v", err)
	}
}
