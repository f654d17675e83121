package torrent_test

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/storage"
	"spate/torrent"
)

// TestWebSeedWithWrongDataIsNotUsed checks that a web seed with several wrong pieces of a file
// is not asked for this file for a long time, and that another web seed sends the data.
func TestWebSeedWithWrongDataIsNotUsed(t *testing.T) {
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
				log := &logRecorder{}
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
				if liar.requests.Load() != n || log.count("sent wrong data") < 3 || log.count("sent wrong data") > 6 || len(tor.Banned()) > 0 {
					t.Errorf("%d more requests, banned %v, log:\n%s", liar.requests.Load()-n, tor.Banned(), log)
				}
			})
		})
	}
}

// TestWebSeedsThatViolateBEP19AreNotUsed checks that web seeds which violate BEP 19 are not
// asked again soon, that the log says so, and that an honest web seed sends everything.
func TestWebSeedsThatViolateBEP19AreNotUsed(t *testing.T) {
	data, mi := makeTorrent(t, 2<<20, 64<<10)
	for name, answer := range map[string]http.HandlerFunc{
		"whole file": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)*2)) // more than the file has
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
				log := &logRecorder{}
				tor := w.add(w.session(simnet.Link{}, torrent.Options{Log: log.logger()}), with(mi, bad.url, good.url), torrent.AddOptions{Storage: store})
				w.wait(tor, time.Minute)
				w.holds(store, data)
				if st := tor.Stats(); !st.WebSeeds[0].Stopped || st.WebSeeds[1].Err != nil || st.Wasted > 0 {
					t.Errorf("%+v, wasted %d", st.WebSeeds, st.Wasted)
				}
				if n := bad.requests.Load(); n > 2 || log.count("not used for some time") != 1 {
					t.Errorf("%d requests, log:\n%s", n, log)
				}
			})
		})
	}
}

// TestPausesAfterWebSeedFails checks the pauses after a web seed asked for a pause, was
// down, or stalled.
func TestPausesAfterWebSeedFails(t *testing.T) {
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
			t.Errorf("requests at %v", times)
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
		down := w.host(simnet.Link{})                                  // no server listens
		good := w.serve(simnet.Link{Up: 40 << 10}, bytesHandler(data)) // takes longer than the time of a stall
		tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, hung.url, "http://"+down.Addr().String()+"/", good.url), torrent.AddOptions{Storage: storage.NewMemoryLike(data)})
		w.wait(tor, 2*time.Minute)
		for i, s := range tor.Stats().WebSeeds {
			if s.Stopped && i > 0 || (s.Err != nil) != (i < 2) {
				t.Errorf("%d: %+v", i, s)
			}
		}
	})
}

// TestWebSeedDiskFull checks that a torrent whose disk is full stops using web seeds, and
// continues with them when the disk has space.
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

// TestWebSeedIsBannedForItsBadBlocks checks that a piece with wrong blocks of a web seed and
// good blocks of peers ends the use of the web seed and bans no peer.
func TestWebSeedIsBannedForItsBadBlocks(t *testing.T) {
	data, mi := makeTorrent(t, 8<<20, 512<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		bad := bytes.Clone(data)
		for i := 0; i < len(bad); i += 40_000 {
			bad[i] ^= 1
		}
		liar := w.serve(simnet.Link{Up: 2 * mbit}, bytesHandler(bad))
		for range 4 { // slow peers, so that several of them send blocks of one piece
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
		w.wait(tor, 5*time.Minute) // the last piece may be one that the slow peers have begun
		w.holds(store, data)
		if st := tor.Stats(); len(st.WebSeeds) != 2 || len(tor.Banned()) > 0 {
			t.Errorf("banned %v, %+v", tor.Banned(), st.WebSeeds)
		}
	})
}
