package torrent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/metainfo"
	"spate/storage"
	"spate/tracker"
)

// fileLoader loads a torrent whose data is in a folder.
type fileLoader struct {
	mi  *metainfo.MetaInfo
	dir string
}

func (l fileLoader) Load() (*metainfo.MetaInfo, AddOptions, error) {
	return l.mi, AddOptions{Dir: l.dir}, nil
}

// noiseFile writes the data of a torrent to a new folder and returns the path of the file.
func noiseFile(t *testing.T, n int) (fileLoader, string) {
	t.Helper()
	data, mi := noiseTorrent(t, n, 16<<10)
	dir := t.TempDir()
	path := filepath.Join(dir, mi.Info.Name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return fileLoader{mi, dir}, path
}

// dormantWorld is a session with dormant torrents and a session that downloads them, in
// simulated time.
type dormantWorld struct {
	net  *simnet.Network
	seed *Session
	get  *Session
}

func newDormantWorld(t *testing.T, opt Options) *dormantWorld {
	t.Helper()
	w := &dormantWorld{net: simnet.New(simnet.Options{Seed: 1})}
	w.seed = w.session(t, 1, opt)
	w.get = w.session(t, 2, Options{})
	return w
}

func (w *dormantWorld) session(t *testing.T, host byte, opt Options) *Session {
	t.Helper()
	addr := netip.AddrFrom4([4]byte{10, 0, 0, host})
	opt.Network, opt.Bind, opt.PeerPort, opt.Seed = w.net.Host(addr, simnet.Link{}), addr, 6881, uint64(host)
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

// fetch downloads a torrent from the seed and removes it.
func (w *dormantWorld) fetch(t *testing.T, mi *metainfo.MetaInfo, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tor, err := w.get.Add(mi, AddOptions{Storage: storage.NewMemory(mi.Info.TotalLength()), Peers: []netip.AddrPort{w.seed.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.get.Remove(tor.InfoHash())
	return tor.Wait(ctx)
}

// TestDormantWakesAndSleeps checks that a dormant torrent wakes up for a peer, sends all data,
// becomes dormant again, and keeps its count of sent bytes.
func TestDormantWakesAndSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDormantWorld(t, Options{ResumeDir: t.TempDir()})
		l, _ := noiseFile(t, 100_000)
		if ih, dormant, err := w.seed.AddDormant(l); ih != l.mi.Hash() || !dormant || err != nil {
			t.Fatal(ih, dormant, err)
		}
		if _, _, err := w.seed.AddDormant(l); !errors.Is(err, ErrDuplicate) {
			t.Errorf("added twice: %v", err)
		}
		if _, err := w.seed.Add(l.mi, AddOptions{Dir: l.dir}); !errors.Is(err, ErrDuplicate) {
			t.Errorf("added as dormant and as another: %v", err)
		}
		for round := range 2 {
			if n := w.seed.Dormant(); n != 1 || len(w.seed.Torrents()) > 0 {
				t.Fatalf("round %d: %d dormant torrents, %d others", round, n, len(w.seed.Torrents()))
			}
			if err := w.fetch(t, l.mi, time.Minute); err != nil {
				t.Fatal(err)
			}
			tor := w.seed.Torrent(l.mi.Hash())
			if tor == nil || w.seed.Dormant() != 0 {
				t.Fatal("the torrent is dormant while a peer is connected")
			}
			if sent := tor.Stats().Uploaded; sent != int64(round+1)*100_000 {
				t.Errorf("round %d: %d bytes sent", round, sent)
			}
			time.Sleep(idleTimeout)
		}
		if err := w.seed.Remove(l.mi.Hash()); err != nil || w.seed.Dormant() != 0 {
			t.Errorf("remove: %v", err)
		}
		if err := w.fetch(t, l.mi, time.Minute); err == nil {
			t.Error("the torrent sends data after it was removed")
		}
	})
}

// TestAwakeTorrentsAreBounded checks that peers cannot keep many torrents awake at one time.
func TestAwakeTorrentsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conns, all = 2, maxExtraAwake + 30
		w := newDormantWorld(t, Options{MaxConns: conns})
		for i := range all {
			l, _ := noiseFile(t, 1000+i)
			if _, _, err := w.seed.AddDormant(l); err != nil {
				t.Fatal(err)
			}
			d := w.seed.dormant.by[l.mi.Hash()]
			tor, err := w.seed.wake(d)
			if err != nil {
				t.Fatal(err)
			}
			w.seed.release(tor)
			if n := len(w.seed.Torrents()); n > conns+maxExtraAwake {
				t.Fatalf("%d torrents are awake", n)
			}
		}
		time.Sleep(2 * sleepAfter)
		if n := w.seed.Dormant(); n != all {
			t.Errorf("%d of %d are dormant", n, all)
		}
	})
}

// TestDormantChecksChangedFiles checks that files which change while the torrent is dormant
// are checked before any of them is sent.
func TestDormantChecksChangedFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDormantWorld(t, Options{})
		l, path := noiseFile(t, 100_000)
		if _, _, err := w.seed.AddDormant(l); err != nil {
			t.Fatal(err)
		}
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := slices.Clone(good)
		bad[20_000] ^= 1
		if err := errors.Join(os.Remove(path), os.WriteFile(path, bad, 0o644)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.fetch(t, l.mi, time.Minute); err == nil {
				t.Fatal("the changed data was downloaded")
			}
			if st := w.seed.Torrent(l.mi.Hash()).Stats(); st.PiecesHave != st.Pieces-1 {
				t.Errorf("%d of %d pieces are good", st.PiecesHave, st.Pieces)
			}
			time.Sleep(idleTimeout)
		}
	})
}

// TestAddDormantWithMissingData checks that AddDormant adds a torrent with missing data as
// one that is not dormant, and that it seeds the good pieces.
func TestAddDormantWithMissingData(t *testing.T) {
	t.Parallel()
	s := testSession(t, Options{})
	l, path := noiseFile(t, 100_000)
	if err := os.Truncate(path, 50_000); err != nil {
		t.Fatal(err)
	}
	ih, dormant, err := s.AddDormant(l)
	tor := s.Torrent(ih)
	if err != nil || dormant || tor == nil || s.Dormant() != 0 {
		t.Fatal(tor, dormant, err)
	}
	for tor.Stats().State == StateChecking {
		time.Sleep(time.Millisecond)
	}
	if st := tor.Stats(); st.PiecesHave != 3 {
		t.Errorf("%d pieces are good", st.PiecesHave)
	}
}

// TestLedgerSavesReadingFiles checks that the next session does not read files that the
// ledger records, but checks a file whose time was put back after a change, and a file that was
// only touched.
func TestLedgerSavesReadingFiles(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	l, path := noiseFile(t, 100_000)
	run := func() (dormant int) {
		s, err := NewSession(Options{Bind: loopback, ResumeDir: state})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, _, err := s.AddDormant(l); err != nil {
			t.Fatal(err)
		}
		return s.Dormant()
	}
	if run() != 1 {
		t.Fatal("not dormant")
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("other"), 10); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if run() != 0 {
		t.Error("other data counts as complete")
	}
	if err := os.Chtimes(path, fi.ModTime(), fi.ModTime()); err != nil {
		t.Fatal(err)
	}
	if run() != 0 {
		t.Error("other data with the time put back counts as complete")
	}

	// A ledger that records the other data as complete is believed.
	mi, opt, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	d, err := storage.OpenDir(opt.Dir, &mi.Info, storage.NewPool(0), storage.DirOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Accept(); err != nil {
		t.Fatal(err)
	}
	note := storage.Note{InfoHash: mi.Hash(), Stamp: storage.Stamp(d.Accepted()), Added: time.Unix(1, 0)}
	if err := storage.SaveLedger(state, []storage.Note{note}); err != nil {
		t.Fatal(err)
	}
	if run() != 1 {
		t.Error("a file that the ledger records was read again")
	}
}

// fewLeechers is a tracker that records events and names peers.
type fewLeechers struct {
	mu     sync.Mutex
	events map[tracker.Event]int
	peers  []netip.AddrPort
}

func (f *fewLeechers) Announce(_ context.Context, _ string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events[req.Event]++
	if req.Left != 0 {
		return nil, fmt.Errorf("%d bytes left", req.Left)
	}
	return &tracker.AnnounceResponse{Interval: 10 * time.Minute, Peers: f.peers, Incomplete: len(f.peers)}, nil
}

// TestDormantIsAnnounced checks that a dormant torrent is announced, and connects to leechers
// that the tracker names.
func TestDormantIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ann := &fewLeechers{events: map[tracker.Event]int{}}
		w := newDormantWorld(t, Options{Announcer: ann})
		l, _ := noiseFile(t, 100_000)
		plain := *l.mi
		l.mi.AnnounceList = [][]string{{"http://tracker.example/announce"}}
		if _, _, err := w.seed.AddDormant(l); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if w.seed.Dormant() != 1 {
			t.Fatal("the torrent is awake although no peer asked for it")
		}
		ann.mu.Lock()
		ann.peers = []netip.AddrPort{w.get.Addr()}
		ann.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
		defer cancel()
		tor, err := w.get.Add(&plain, AddOptions{Storage: storage.NewMemory(100_000)})
		if err != nil {
			t.Fatal(err)
		}
		if err := tor.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		w.seed.Close()
		ann.mu.Lock()
		defer ann.mu.Unlock()
		if ann.events[tracker.EventStarted] != 1 || ann.events[tracker.EventStopped] != 1 || ann.events[tracker.EventNone] == 0 {
			t.Errorf("announced %v", ann.events)
		}
	})
}

// goneLoader loads a torrent until its .torrent is gone or replaced.
type goneLoader struct {
	fileLoader
	gone *atomic.Pointer[func() (*metainfo.MetaInfo, AddOptions, error)]
}

func (l goneLoader) Load() (*metainfo.MetaInfo, AddOptions, error) {
	if f := l.gone.Load(); f != nil {
		return (*f)()
	}
	return l.fileLoader.Load()
}

// TestDormantWithoutTorrentSaysStopped checks that a dormant torrent that cannot wake up, because
// its .torrent is gone or another one, announces "stopped" and is no longer announced. A .torrent
// that cannot be read for another reason changes nothing.
func TestDormantWithoutTorrentSaysStopped(t *testing.T) {
	for _, c := range []struct {
		name    string
		load    func(other fileLoader) (*metainfo.MetaInfo, AddOptions, error)
		stopped int
	}{
		{"gone", func(fileLoader) (*metainfo.MetaInfo, AddOptions, error) { return nil, AddOptions{}, fs.ErrNotExist }, 1},
		{"replaced", func(other fileLoader) (*metainfo.MetaInfo, AddOptions, error) { return other.Load() }, 1},
		{"unreadable", func(fileLoader) (*metainfo.MetaInfo, AddOptions, error) { return nil, AddOptions{}, fs.ErrPermission }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ann := &fewLeechers{events: map[tracker.Event]int{}}
				w := newDormantWorld(t, Options{Announcer: ann})
				l, _ := noiseFile(t, 100_000)
				other, _ := noiseFile(t, 50_000)
				l.mi.AnnounceList = [][]string{{"http://tracker.example/announce"}}
				loader := goneLoader{l, new(atomic.Pointer[func() (*metainfo.MetaInfo, AddOptions, error)])}
				if _, _, err := w.seed.AddDormant(loader); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				load := func() (*metainfo.MetaInfo, AddOptions, error) { return c.load(other) }
				loader.gone.Store(&load)
				ann.mu.Lock()
				ann.peers = []netip.AddrPort{w.get.Addr()}
				ann.mu.Unlock()
				time.Sleep(30 * time.Minute) // the tracker names a leecher, which wakes the torrent
				ann.mu.Lock()
				if n := ann.events[tracker.EventStopped]; n != c.stopped {
					t.Errorf("stopped was announced %d times, want %d", n, c.stopped)
				}
				before := ann.events[tracker.EventNone]
				ann.mu.Unlock()
				time.Sleep(time.Hour)
				ann.mu.Lock()
				if more := ann.events[tracker.EventNone] > before; more != (c.stopped == 0) {
					t.Errorf("the torrent is announced later: %t", more)
				}
				ann.mu.Unlock()
				if n := w.seed.Dormant(); n != 1-c.stopped {
					t.Errorf("%d torrents are dormant, want %d", n, 1-c.stopped)
				}
				w.seed.Close()
			})
		})
	}
}
