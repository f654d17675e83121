package torrent_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/netguard/guardtest"
	"spate/internal/simnet"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// newManyFiles returns a torrent of n files of four pieces each, and the data of all files.
func newManyFiles(t *testing.T, n int) (f *fiveFiles, all []byte) {
	f = &fiveFiles{dir: t.TempDir(), data: map[string][]byte{}}
	os.Mkdir(filepath.Join(f.dir, "tree"), 0o777)
	for i := range n {
		name := fmt.Sprintf("tree/%02d", i)
		f.data[name], _ = makeTorrent(t, 64<<10, 64<<10)
		f.data[name][0] = byte(i)
		all = append(all, f.data[name]...)
		if err := os.WriteFile(filepath.Join(f.dir, filepath.FromSlash(name)), f.data[name], 0o666); err != nil {
			t.Fatal(err)
		}
	}
	mi, err := maker.Make(t.Context(), filepath.Join(f.dir, "tree"), maker.Options{Format: metainfo.V1, PieceLength: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	f.mi = mi
	return f, all
}

// TestStoppedWebSeedComesBack checks that a web seed that stopped because of 32 wrong pieces
// sends the rest of the data once its operator has repaired it, and that a web seed that is
// not repaired is asked less and less often.
func TestStoppedWebSeedComesBack(t *testing.T) {
	const files = 16
	for name, c := range map[string]struct {
		repaired time.Duration // when the server is repaired
		wrong    int           // the server spoils one of so many pieces
		within   time.Duration // the download ends in this time after the repair; 0 if it does not end
	}{
		"at once":                 {time.Minute, 1, 30 * time.Minute},
		"after the first stop":    {12 * time.Minute, 1, time.Hour},
		"after some stops":        {3 * time.Hour, 1, 8 * time.Hour},
		"a half of it, at once":   {time.Minute, 2, 30 * time.Minute},
		"never":                   {1000 * time.Hour, 1, 0},
		"never, a half is wrong":  {1000 * time.Hour, 2, 0},
		"never, a fifth is wrong": {1000 * time.Hour, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f, all := newManyFiles(t, files)
			synctest.Test(t, func(t *testing.T) {
				w := newWeb(t)
				defer w.end()
				begin := time.Now()
				srv := w.serve(simnet.Link{Up: 8 * mbit}, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					data := f.data[strings.TrimPrefix(r.URL.Path, "/")]
					if time.Since(begin) < c.repaired {
						data = bytes.Clone(data)
						for i := 0; i < len(data); i += c.wrong * 16 << 10 {
							data[i] ^= 1
						}
					}
					http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(data))
				}))
				log := &logRecorder{}
				store := storage.NewMemoryLike(all)
				tor := w.add(w.session(simnet.Link{}, torrent.Options{Log: log.logger()}), with(f.mi, srv.url), torrent.AddOptions{Storage: store})
				if c.within > 0 {
					w.wait(tor, c.repaired+c.within)
					w.holds(store, all)
					return
				}
				time.Sleep(24 * time.Hour)
				st := tor.Stats()
				good := 4 * files
				for i := range 4 * files {
					if i%4%c.wrong == 0 {
						good--
					}
				}
				if s := st.WebSeeds[0]; st.BytesDone != int64(good)*16<<10 || !s.Stopped || s.Err == nil || !s.NextTry.After(time.Now()) {
					t.Errorf("%d bytes, want %d good pieces: %+v", st.BytesDone, good, s)
				}
				n := log.count("sent wrong data")
				time.Sleep(24 * time.Hour)
				if more := log.count("sent wrong data") - n; n > 32+10*4 || more > 6*4 {
					t.Errorf("%d wrong pieces on the first day, %d on the second", n, more)
				}
			})
		})
	}
}

// TestForbiddenWebSeedComesBack checks that a web seed whose name had a forbidden address is
// used when the name has another address.
func TestForbiddenWebSeedComesBack(t *testing.T) {
	data, mi := makeTorrent(t, 1<<20, 64<<10)
	// The first lookup makes a channel of package net, which must not belong to a bubble.
	guardtest.Resolver(func(string) []string { return nil }).LookupHost(t.Context(), "web.test")
	for _, forbidden := range []string{"169.254.169.254", "255.255.255.255", "0.0.0.0", "224.0.0.1"} {
		for _, after := range []time.Duration{time.Second, 11 * time.Minute, 5 * time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				w := newWeb(t)
				defer w.end()
				begin := time.Now()
				srv := w.serve(simnet.Link{Up: 8 * mbit}, bytesHandler(data))
				host := strings.Trim(srv.url, "htp:/")
				var lookups atomic.Int32
				names := guardtest.Resolver(func(string) []string {
					lookups.Add(1)
					if time.Since(begin) < after {
						return []string{forbidden}
					}
					return []string{host}
				})
				tor := w.add(w.session(simnet.Link{}, torrent.Options{Resolver: names}), with(mi, "http://web.test/"), torrent.AddOptions{Storage: storage.NewMemoryLike(data)})
				time.Sleep(10 * time.Second)
				if s := tor.Stats().WebSeeds[0]; after > time.Minute && (!s.Stopped || s.Err == nil || time.Until(s.NextTry) < 9*time.Minute) {
					t.Errorf("%s: %+v", forbidden, s)
				}
				w.wait(tor, 3*after+13*time.Minute)
				if n := lookups.Load(); n > 40 {
					t.Errorf("%s after %v: %d lookups", forbidden, after, n)
				}
			})
		}
	}
}

// drip returns a handler that sends a few bytes each second.
func drip(w *web, data []byte, perSecond int) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.ServeContent(&dripping{rw, w, perSecond}, r, "", time.Time{}, bytes.NewReader(data))
	})
}

type dripping struct {
	http.ResponseWriter
	w         *web
	perSecond int
}

func (d *dripping) Write(p []byte) (int, error) {
	for n := 0; n < len(p); n += d.perSecond {
		if d.w.ctx.Err() != nil {
			return n, io.ErrClosedPipe
		}
		if _, err := d.ResponseWriter.Write(p[n:min(n+d.perSecond, len(p))]); err != nil {
			return n, err
		}
		d.ResponseWriter.(http.Flusher).Flush()
		select {
		case <-time.After(time.Second):
		case <-d.w.ctx.Done():
		}
	}
	return len(p), nil
}

// ReadFrom hides the ReadFrom of the server, which would not drip.
func (d *dripping) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{d}, r)
}

// TestSlowWebSeedHoldsNothing checks that a server that sends slowly does not delay the pieces
// that other servers or peers can send, whether they are there from the beginning or come later.
func TestSlowWebSeedHoldsNothing(t *testing.T) {
	data, mi := makeTorrent(t, 4<<20, 256<<10)
	for _, rate := range []int{1, 100, 600, 2000} {
		for _, other := range []string{"web seed", "later web seed", "two web seeds", "peer", "later peer", "slow web seed and peer"} {
			t.Run(fmt.Sprintf("%d bytes a second, %s", rate, other), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWeb(t)
					defer w.end()
					urls := []string{w.serve(simnet.Link{}, drip(w, data, rate)).url}
					good := func() string { return w.serve(simnet.Link{Up: 2 * mbit}, bytesHandler(data)).url }
					peer := func() netip.AddrPort {
						w.add(w.session(simnet.Link{Up: 2 * mbit}, torrent.Options{}), mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
						time.Sleep(time.Second)
						return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(w.hosts)}), 6881)
					}
					switch other {
					case "web seed":
						urls = append(urls, good())
					case "two web seeds":
						urls = []string{good(), urls[0], good()}
					case "peer":
						peer()
					case "slow web seed and peer":
						urls = append(urls, w.serve(simnet.Link{}, drip(w, data, rate)).url)
						peer()
					}
					store := storage.NewMemoryLike(data)
					tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, urls...), torrent.AddOptions{Storage: store})
					switch other {
					case "later web seed":
						time.Sleep(3 * time.Minute)
						tor.AddWebSeeds([]string{good()})
					case "later peer":
						time.Sleep(3 * time.Minute)
						tor.AddPeers([]netip.AddrPort{peer()})
					}
					took := w.wait(tor, 3*time.Minute)
					w.holds(store, data)
					t.Logf("took %v, wasted %d", took, tor.Stats().Wasted)
					if wasted := tor.Stats().Wasted; wasted > 1<<20 {
						t.Errorf("%d bytes arrived twice", wasted)
					}
				})
			})
		}
	}
}

// TestSlowWebSeedEndsWhenAnotherComes checks that a web seed that may be slow, because it is the
// only source, is given up when there is another source.
func TestSlowWebSeedEndsWhenAnotherComes(t *testing.T) {
	data, mi := makeTorrent(t, 8<<20, 256<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		slow := w.serve(simnet.Link{}, drip(w, data, 1))
		tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(mi, slow.url), torrent.AddOptions{Storage: storage.NewMemoryLike(data)})
		time.Sleep(3 * time.Minute)
		if s := tor.Stats().WebSeeds[0]; s.Conns != 1 || s.Err != nil {
			t.Errorf("the only source: %+v", s)
		}
		tor.AddWebSeeds([]string{w.serve(simnet.Link{Up: 50 << 10}, bytesHandler(data)).url})
		time.Sleep(40 * time.Second)
		if s := tor.Stats().WebSeeds[0]; s.Err == nil {
			t.Errorf("with another source: %+v", s)
		}
		w.wait(tor, 4*time.Minute)
	})
}
