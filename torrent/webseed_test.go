package torrent_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/maker"
	"spate/metainfo"
	"spate/publish"
	"spate/site"
	"spate/storage"
	"spate/torrent"
)

// TestWebSeedSendsEachByteOnce checks a download from a web server without any peer. The
// requests are for ranges of several pieces, and the server sends each byte once.
func TestWebSeedSendsEachByteOnce(t *testing.T) {
	data, mi := makeTorrent(t, 24<<20+5000, 256<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		srv := w.serve(simnet.Link{Up: 80 * mbit}, bytesHandler(data))
		store := storage.NewMemoryLike(data)
		tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, "ftp://nobody/"), torrent.AddOptions{Storage: store})
		tor.AddWebSeeds([]string{srv.url})
		took := w.wait(tor, time.Minute)
		w.holds(store, data)
		st := tor.Stats()
		once := time.Duration(float64(len(data)) / (80 * mbit) * float64(time.Second))
		t.Logf("%v (%v of them sending), %d requests", took, once, srv.requests.Load())
		if took > once+2*time.Second {
			t.Errorf("took %v", took)
		}
		if st.Wasted != 0 || st.Downloaded != int64(len(data)) || srv.sent.Load() != int64(len(data)) {
			t.Errorf("downloaded %d, wasted %d, sent %d of %d", st.Downloaded, st.Wasted, srv.sent.Load(), len(data))
		}
		if n := srv.requests.Load(); n > 20 {
			t.Errorf("%d requests for %d pieces", n, mi.Info.NumPieces())
		}
		if len(st.WebSeeds) != 1 || st.WebSeeds[0].Downloaded != int64(len(data)) || st.WebSeeds[0].Err != nil {
			t.Errorf("%+v", st.WebSeeds)
		}
	})
}

// TestWebSeedSendsLongPiecesInParts checks a torrent of pieces of 16 MiB: no request is for
// more than 4 MiB, and after a failed request only the missing blocks are requested again.
func TestWebSeedSendsLongPiecesInParts(t *testing.T) {
	data, mi := makeTorrent(t, 40<<20, 16<<20)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		var requests atomic.Int64
		srv := w.serve(simnet.Link{Up: 80 * mbit}, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			var from, to int
			if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil || to-from >= 4<<20 {
				t.Errorf("the range %q has more than 4 MiB", r.Header.Get("Range"))
			}
			if requests.Add(1) == 3 {
				rw.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
				rw.Header().Set("Content-Length", strconv.Itoa(to+1-from))
				rw.WriteHeader(http.StatusPartialContent)
				rw.Write(data[from : (from+to)/2])
				panic(http.ErrAbortHandler)
			}
			bytesHandler(data).ServeHTTP(rw, r)
		}))
		store := storage.NewMemoryLike(data)
		tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, srv.url), torrent.AddOptions{Storage: store})
		w.wait(tor, 5*time.Minute)
		w.holds(store, data)
		if more := srv.sent.Load() - int64(len(data)); more > 1<<20 {
			t.Errorf("the server sent %d bytes more than the data has", more)
		}
	})
}

// TestNoWebSeedsMakesNoRequests checks that no request is made if web seeds are turned off.
func TestNoWebSeedsMakesNoRequests(t *testing.T) {
	data, mi := makeTorrent(t, 100_000, 16<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		srv := w.serve(simnet.Link{}, bytesHandler(data))
		w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, srv.url), torrent.AddOptions{Storage: storage.NewMemoryLike(data), NoWebSeeds: true})
		w.add(w.session(simnet.Link{}, torrent.Options{NoWebSeeds: true}), with(mi, srv.url), torrent.AddOptions{Storage: storage.NewMemoryLike(data)})
		time.Sleep(time.Minute)
		if n := srv.requests.Load(); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestWebSeedFormats checks downloads of v1, v2 and hybrid torrents of one and of several
// files, with padding and with names that must be escaped.
func TestWebSeedFormats(t *testing.T) {
	dir := t.TempDir()
	files := map[string]int{"one file.bin": 700_001, "tree/a": 100, "tree/sub #1/b&c.bin": 300_000, "tree/sub #1/empty": 0, "tree/zz": 1 << 19}
	for name, n := range files {
		data, _ := makeTorrent(t, max(n, 1), 1<<20)
		path := filepath.Join(dir, filepath.FromSlash(name))
		os.MkdirAll(filepath.Dir(path), 0o777)
		if err := os.WriteFile(path, data[:n], 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, format := range []metainfo.Format{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		for _, name := range []string{"one file.bin", "tree"} {
			t.Run(string(format)+" "+name, func(t *testing.T) {
				mi, err := maker.Make(t.Context(), filepath.Join(dir, name), maker.Options{Format: format, PieceLength: 64 << 10, Private: true})
				if err != nil {
					t.Fatal(err)
				}
				out := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					w := newWeb(t)
					defer w.end()
					srv := w.serve(simnet.Link{}, http.FileServer(http.Dir(dir)))
					tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, srv.url), torrent.AddOptions{Dir: out})
					w.wait(tor, 20*time.Second)
					if st := tor.Stats(); st.Wasted > 0 || st.WebSeeds[0].Err != nil {
						t.Errorf("%+v", st)
					}
				})
				for file := range files {
					if top, _, _ := strings.Cut(file, "/"); top != name {
						continue
					}
					want, _ := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
					got, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(file)))
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s: %d bytes, want %d: %v", file, len(got), len(want), err)
					}
				}
			})
		}
	}
}

// TestWebSeedIsBackstop checks that web seeds are not used in a fast swarm, and in a slow
// swarm only until it is fast.
func TestWebSeedIsBackstop(t *testing.T) {
	const size = 64 << 20
	data, mi := makeTorrent(t, size, 256<<10)
	for name, c := range map[string]struct {
		up   int64 // upload rate of the seed
		less int64 // most requests
		more int64 // least requests
	}{
		"fast swarm": {up: 20 * mbit},
		"slow swarm": {up: 20 << 10, more: 5, less: 60},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWeb(t)
				defer w.end()
				srv := w.serve(simnet.Link{Up: 40 * mbit}, bytesHandler(data))
				w.add(w.session(simnet.Link{Up: c.up}, torrent.Options{}), mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
				time.Sleep(time.Second)
				store := storage.NewMemoryLike(data)
				tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, srv.url), torrent.AddOptions{Storage: store})
				w.wait(tor, 2*time.Minute)
				w.holds(store, data)
				t.Logf("%d requests", srv.requests.Load())
				if n := srv.requests.Load(); n < c.more || n > c.less {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
	// The seed becomes fast, so the web seed is not used any more.
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		srv := w.serve(simnet.Link{Up: 300 << 10}, bytesHandler(data))
		seed := w.session(simnet.Link{}, torrent.Options{Up: 4 << 10})
		w.add(seed, mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		time.Sleep(time.Second)
		tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, srv.url), torrent.AddOptions{Storage: storage.NewMemoryLike(data)})
		time.Sleep(10 * time.Second)
		if n := srv.requests.Load(); n > 0 {
			t.Errorf("%d requests before the swarm was slow for long enough", n)
		}
		time.Sleep(20 * time.Second)
		if srv.requests.Load() == 0 {
			t.Error("no request although the swarm is slow")
		}
		seed.SetRates(1<<20, 0)
		time.Sleep(30 * time.Second)
		n := srv.requests.Load()
		time.Sleep(10 * time.Second)
		if tor.Stats().State != torrent.StateDownloading || srv.requests.Load() != n || tor.Stats().WebSeeds[0].Conns > 0 {
			t.Errorf("%d requests after the swarm was fast: %+v", srv.requests.Load()-n, tor.Stats())
		}
	})
}

// TestRateLimitsApplyToWebSeeds checks that the rate limits of the torrent and of the
// session apply to web seeds.
func TestRateLimitsApplyToWebSeeds(t *testing.T) {
	data, mi := makeTorrent(t, 4<<20, 64<<10)
	for _, c := range []struct{ session, torrent int64 }{{0, 200 << 10}, {200 << 10, 0}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWeb(t)
			defer w.end()
			srv := w.serve(simnet.Link{}, bytesHandler(data))
			tor := w.add(w.session(simnet.Link{}, torrent.Options{Down: c.session}), with(mi, srv.url), torrent.AddOptions{Storage: storage.NewMemoryLike(data), Down: c.torrent})
			took := w.wait(tor, time.Minute).Seconds()
			if want := float64(len(data)) / (200 << 10); took < want || took > want*1.1+5 {
				t.Errorf("%+v: took %.1f s, want about %.1f", c, took, want)
			}
		})
	}
}

// TestWebSeedOverSockets checks a download from a web seed over sockets of this machine.
func TestWebSeedOverSockets(t *testing.T) {
	data, mi := makeTorrent(t, 8<<20, 256<<10)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: bytesHandler(data)}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { srv.Serve(l) })
	defer srv.Close()
	s, err := torrent.NewSession(torrent.Options{Bind: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	wg.Go(func() { s.Run(ctx) })
	store := storage.NewMemoryLike(data)
	tor, err := s.Add(with(mi, "http://"+l.Addr().String()+"/files/"), torrent.AddOptions{Storage: store})
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.Wait(ctx); err != nil {
		t.Fatalf("%v: %+v", err, tor.Stats())
	}
}

// TestSiteIsWebSeedOfItsReleases checks that releases can be downloaded without peers from
// the site that published them if their metainfo names the site as the web seed.
func TestSiteIsWebSeedOfItsReleases(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	files := map[string]int{"file (1)+.iso": 1<<20 + 5, "tree/one": 100, "tree/sub dir/two#2.bin": 1<<20 + 1, "tree/sub dir/empty": 0}
	for name, n := range files {
		data, _ := makeTorrent(t, max(n, 1), 1<<20)
		path := filepath.Join(dir, filepath.FromSlash(name))
		os.MkdirAll(filepath.Dir(path), 0o777)
		if err := os.WriteFile(path, data[:n], 0o666); err != nil {
			t.Fatal(err)
		}
	}
	base, _ := url.Parse("http://10.0.0.1/below")
	p, err := publish.New(publish.MakerFunc(maker.Make), noSeeder{}, publish.Options{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := site.New(p.Catalog(), site.Options{BaseURL: base, MaxDownloads: 1})
	if err != nil {
		t.Fatal(err)
	}
	spec := publish.Spec{Options: maker.Options{Format: metainfo.Hybrid, PieceLength: 64 << 10, WebSeeds: []string{publish.SelfWebSeed}}}
	for _, name := range []string{"file (1)+.iso", "tree"} {
		rel, err := p.Publish(t.Context(), filepath.Join(dir, name), spec)
		if err != nil {
			t.Fatal(err)
		}
		torrents, err := p.Catalog().Torrents(t.Context(), rel.Ref())
		if err != nil {
			t.Fatal(err)
		}
		mi, err := metainfo.Parse(torrents.Main)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWeb(t)
			defer w.end()
			w.serve(simnet.Link{Up: 8 * mbit}, http.StripPrefix("/below", pages))
			tor := w.add(w.session(simnet.Link{}, torrent.Options{}), mi, torrent.AddOptions{Dir: out})
			w.wait(tor, time.Minute)
		})
	}
	for file := range files {
		want, _ := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
		got, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(file)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d: %v", file, len(got), len(want), err)
		}
	}
}

// noSeeder is an engine without peers.
type noSeeder struct{}

func (noSeeder) Seed(context.Context, *metainfo.MetaInfo, string, bool) error { return nil }
func (noSeeder) Unseed(context.Context, spate.InfoHash) error                 { return nil }
