package torrent_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
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

// web is a simulated network with web servers and sessions. It lives in a
// synctest bubble.
type web struct {
	t     *testing.T
	net   *simnet.Network
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup
	room  *room
	hosts int
}

func newWeb(t *testing.T) *web {
	w := &web{t: t, net: simnet.New(simnet.Options{Seed: 3}), room: newRoom()}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w
}

// end stops everything that runs. It must be called before the bubble's function
// returns.
func (w *web) end() {
	w.stop()
	w.wg.Wait()
}

func (w *web) host(link simnet.Link) *simnet.Host {
	w.hosts++
	link.Latency = 5 * time.Millisecond
	return w.net.Host(netip.AddrFrom4([4]byte{10, 0, 0, byte(w.hosts)}), link)
}

// server is a web server that counts what it is asked for.
type server struct {
	url      string
	requests atomic.Int64
	sent     atomic.Int64
}

// serve runs a web server on a host of its own.
func (w *web) serve(link simnet.Link, h http.Handler) *server {
	host := w.host(link)
	l, err := host.Listen(w.ctx, "tcp", ":80")
	if err != nil {
		w.t.Fatal(err)
	}
	s := &server{url: "http://" + host.Addr().String() + "/"}
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h.ServeHTTP(&counting{rw, &s.sent}, r)
	})}
	w.wg.Go(func() { srv.Serve(l) })
	context.AfterFunc(w.ctx, func() { srv.Close() })
	return s
}

type counting struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

func (c *counting) Flush() { c.ResponseWriter.(http.Flusher).Flush() }

// bytesHandler serves one file at every path.
func bytesHandler(data []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
}

// session runs a session on a host of its own.
func (w *web) session(link simnet.Link, opt torrent.Options) *torrent.Session {
	host := w.host(link)
	opt.Network, opt.Announcer, opt.Bind, opt.PeerPort = host, w.room.at(host.Addr()), host.Addr(), 6881
	opt.Seed = uint64(w.hosts)
	opt.PeerID = spate.PeerID([]byte(fmt.Sprintf("-SP0100-%012d", w.hosts)))
	s, err := torrent.NewSession(opt)
	if err != nil {
		w.t.Fatal(err)
	}
	w.wg.Go(func() { s.Run(w.ctx) })
	return s
}

func (w *web) add(s *torrent.Session, mi *metainfo.MetaInfo, opt torrent.AddOptions) *torrent.Torrent {
	t, err := s.Add(mi, opt)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// wait waits at most d for the torrent to complete, and returns how long it took.
func (w *web) wait(t *torrent.Torrent, d time.Duration) time.Duration {
	w.t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(w.ctx, d)
	defer cancel()
	if err := t.Wait(ctx); err != nil {
		w.t.Fatalf("%v: %+v", err, t.Stats())
	}
	return time.Since(begin)
}

// holds checks that a storage has the data.
func (w *web) holds(s storage.Storage, data []byte) {
	w.t.Helper()
	got := make([]byte, len(data))
	if _, err := s.ReadAt(got, 0); err != nil || !bytes.Equal(got, data) {
		w.t.Errorf("other data arrived (%v)", err)
	}
}

// with returns the torrent with other web seeds.
func with(mi *metainfo.MetaInfo, urls ...string) *metainfo.MetaInfo {
	c := *mi
	c.WebSeeds = urls
	return &c
}

// TestWebSeedAlone: a file comes from a web server when there is no peer at all,
// by ranges over runs of pieces, and each byte once.
func TestWebSeedAlone(t *testing.T) {
	data, mi := makeTorrent(t, 24<<20+5000, 256<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		srv := w.serve(simnet.Link{Up: 80 * mbit}, bytesHandler(data))
		store := storage.NewMemoryLike(data)
		tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, "ftp://nobody/", srv.url), torrent.AddOptions{Storage: store})
		took := w.wait(tor, time.Minute)
		w.holds(store, data)
		st := tor.Stats()
		once := time.Duration(float64(len(data)) / (80 * mbit) * float64(time.Second))
		t.Logf("%v (%v of them sending), %d requests", took, once, srv.requests.Load())
		if took > once+6*time.Second {
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

// TestWebSeedOff: nothing is asked when the caller does not want it.
func TestWebSeedOff(t *testing.T) {
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

// TestWebSeedFormats fetches a file and a tree, with pads and names that have to
// be escaped, as v1, v2 and hybrid, into files.
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

// TestWebSeedIsBackstop: a swarm that serves well is left to itself, one that
// does not is helped until it does.
func TestWebSeedIsBackstop(t *testing.T) {
	const size = 64 << 20
	data, mi := makeTorrent(t, size, 256<<10)
	for name, c := range map[string]struct {
		up   int64 // of the seed
		less int64 // requests
		more int64
	}{
		"fast swarm": {up: 20 * mbit},
		"slow swarm": {up: 20 << 10, more: 5, less: 40},
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
	// The seed's link becomes fast: the server is left alone.
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
			t.Errorf("%d requests before the swarm had its time", n)
		}
		time.Sleep(20 * time.Second)
		if srv.requests.Load() == 0 {
			t.Error("no request though the swarm is slow")
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

// TestWebSeedWrongData: a server whose data is wrong is found by the hash, banned
// exactly once as a peer would be, and the data comes from another.
func TestWebSeedWrongData(t *testing.T) {
	data, mi := makeTorrent(t, 8<<20, 64<<10)
	for name, spoil := range map[string]func(b []byte){
		"everywhere": func(b []byte) {
			for i := range b {
				b[i] ^= 1
			}
		},
		"here and there": func(b []byte) {
			for i := 100_000; i < len(b); i += 1_000_000 {
				b[i] ^= 1
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWeb(t)
				defer w.end()
				bad := bytes.Clone(data)
				spoil(bad)
				liar := w.serve(simnet.Link{Up: 8 * mbit}, bytesHandler(bad))
				honest := w.serve(simnet.Link{Up: 8 * mbit}, bytesHandler(data))
				store := storage.NewMemoryLike(data)
				log := &recorder{}
				tor := w.add(w.session(simnet.Link{}, torrent.Options{Log: log.logger()}), with(mi, liar.url, honest.url), torrent.AddOptions{Storage: store})
				w.wait(tor, 2*time.Minute)
				w.holds(store, data)
				st := tor.Stats()
				for i, want := range []bool{true, false} {
					if s := st.WebSeeds[i]; s.Stopped != want || s.Stopped != (s.Err != nil) {
						t.Errorf("%+v", s)
					}
				}
				n := liar.requests.Load()
				time.Sleep(time.Minute)
				if liar.requests.Load() != n || log.count("not used any more") != 1 || len(tor.Banned()) > 0 {
					t.Errorf("%d more requests, banned %v, said:\n%s", liar.requests.Load()-n, tor.Banned(), log)
				}
			})
		})
	}
}

// TestWebSeedsHostile has servers that do not do what BEP 19 wants. None is asked
// again, it is said, and the honest one beside them gives everything.
func TestWebSeedsHostile(t *testing.T) {
	data, mi := makeTorrent(t, 2<<20, 64<<10)
	for name, answer := range map[string]http.HandlerFunc{
		"whole file": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)*2)) // not even that
			io.CopyN(w, zeros{}, int64(len(data)*2))
		},
		"another file": func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data[:1<<20]))
		},
		"circle": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
		"inward": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1/", http.StatusFound)
		},
		"not found": http.NotFound,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWeb(t)
				defer w.end()
				bad := w.serve(simnet.Link{Up: 8 * mbit}, answer)
				good := w.serve(simnet.Link{Up: 8 * mbit}, bytesHandler(data))
				store := storage.NewMemoryLike(data)
				log := &recorder{}
				tor := w.add(w.session(simnet.Link{}, torrent.Options{Log: log.logger()}), with(mi, bad.url, good.url), torrent.AddOptions{Storage: store})
				w.wait(tor, time.Minute)
				w.holds(store, data)
				if st := tor.Stats(); !st.WebSeeds[0].Stopped || st.WebSeeds[1].Err != nil || st.Wasted > 0 {
					t.Errorf("%+v, wasted %d", st.WebSeeds, st.Wasted)
				}
				if n := bad.requests.Load(); n > 2 || log.count("not used any more") != 1 {
					t.Errorf("%d requests, said:\n%s", n, log)
				}
			})
		})
	}
}

// TestWebSeedBusy: a server that asks for a pause gets it, one that is down is
// tried again ever more rarely, one that hangs is given up.
func TestWebSeedBusy(t *testing.T) {
	data, mi := makeTorrent(t, 2<<20, 64<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		begin := time.Now()
		var times []time.Duration
		busy := w.serve(simnet.Link{Up: 8 * mbit}, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			times = append(times, time.Since(begin).Truncate(time.Second))
			if len(times) == 1 {
				rw.Header().Set("Retry-After", "100")
			}
			if len(times) < 4 {
				rw.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			bytesHandler(data).ServeHTTP(rw, r)
		}))
		store := storage.NewMemoryLike(data)
		tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, busy.url), torrent.AddOptions{Storage: store})
		time.Sleep(50 * time.Second)
		if s := tor.Stats().WebSeeds[0]; s.Err == nil || s.Stopped || time.Until(s.NextTry) < 40*time.Second {
			t.Errorf("%+v", s)
		}
		w.wait(tor, 5*time.Minute)
		w.holds(store, data)
		if len(times) < 4 || times[1]-times[0] < 100*time.Second || times[2]-times[1] < 10*time.Second || times[3]-times[2] < 20*time.Second {
			t.Errorf("asked at %v", times)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		hung := w.serve(simnet.Link{Up: 8 * mbit}, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-w.ctx.Done():
			}
		}))
		down := w.host(simnet.Link{}) // nobody listens
		good := w.serve(simnet.Link{Up: 8 * mbit}, bytesHandler(data))
		tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, hung.url, "http://"+down.Addr().String()+"/", good.url), torrent.AddOptions{Storage: storage.NewMemoryLike(data)})
		w.wait(tor, 2*time.Minute)
		for i, s := range tor.Stats().WebSeeds {
			if s.Stopped && i > 0 || (s.Err != nil) != (i < 2) {
				t.Errorf("%d: %+v", i, s)
			}
		}
	})
}

// TestWebSeedRate: limits of the torrent and of the session hold for web seeds.
func TestWebSeedRate(t *testing.T) {
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

// TestWebSeedDiskFull: a torrent that halts lets its web seeds go, and goes on
// with them when there is room.
func TestWebSeedDiskFull(t *testing.T) {
	data, mi := makeTorrent(t, 8<<20, 64<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		srv := w.serve(simnet.Link{Up: 8 * mbit}, bytesHandler(data))
		store := &fullDisk{Storage: storage.NewMemoryLike(data)}
		store.full.Store(true)
		tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, srv.url), torrent.AddOptions{Storage: store})
		time.Sleep(15 * time.Second)
		n := srv.requests.Load()
		if st := tor.Stats(); n == 0 || st.State != torrent.StateFailed || st.WebSeeds[0].Conns > 0 || st.WebSeeds[0].Err != nil {
			t.Fatalf("%d requests, %+v", n, st)
		}
		store.full.Store(false)
		time.Sleep(15 * time.Second)
		w.wait(tor, time.Minute)
		w.holds(store, data)
	})
}

type fullDisk struct {
	storage.Storage
	full atomic.Bool
}

func (d *fullDisk) WriteAt(p []byte, off int64) (int, error) {
	if d.full.Load() {
		return 0, &storage.Error{Op: "write", Path: "x", Reason: storage.ErrFull}
	}
	return d.Storage.WriteAt(p, off)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A web seed on a real socket of this machine.
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
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
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

// TestWebSeedOfOurSite fetches releases from nothing but the pages of whoever
// published them, which name themselves as the web seed.
func TestWebSeedOfOurSite(t *testing.T) {
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
	for _, name := range []string{"file (1)+.iso", "tree"} {
		rel, err := p.Publish(t.Context(), filepath.Join(dir, name), maker.Options{Format: metainfo.Hybrid, PieceLength: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := p.Catalog().Torrent(t.Context(), rel.Name)
		if err != nil {
			t.Fatal(err)
		}
		mi, err := metainfo.Parse(raw)
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

func (noSeeder) Seed(context.Context, *metainfo.MetaInfo, string) error { return nil }
func (noSeeder) Unseed(context.Context, spate.InfoHash) error           { return nil }

// TestWebSeedLiesAmongHonestPeers: pieces that a lying server and honest peers put
// together are traced to the server.
func TestWebSeedLiesAmongHonestPeers(t *testing.T) {
	data, mi := makeTorrent(t, 8<<20, 512<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		bad := bytes.Clone(data)
		for i := 0; i < len(bad); i += 40_000 {
			bad[i] ^= 1
		}
		liar := w.serve(simnet.Link{Up: 2 * mbit}, bytesHandler(bad))
		for range 4 { // too slow for each of them to have a piece of its own soon
			w.add(w.session(simnet.Link{}, torrent.Options{Up: 3 << 10}), mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		}
		time.Sleep(time.Second)
		store := storage.NewMemoryLike(data)
		tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, liar.url), torrent.AddOptions{Storage: store})
		time.Sleep(10 * time.Minute)
		st := tor.Stats()
		if len(tor.Banned()) > 0 || !st.WebSeeds[0].Stopped || liar.requests.Load() == 0 {
			t.Errorf("banned %v, %d requests, %+v", tor.Banned(), liar.requests.Load(), st)
		}
		honest := w.serve(simnet.Link{Up: 8 * mbit}, bytesHandler(data))
		tor.AddWebSeeds([]string{honest.url, honest.url, "magnet:?", liar.url})
		w.wait(tor, time.Minute)
		w.holds(store, data)
		if st := tor.Stats(); len(st.WebSeeds) != 2 || len(tor.Banned()) > 0 {
			t.Errorf("banned %v, %+v", tor.Banned(), st.WebSeeds)
		}
	})
}
