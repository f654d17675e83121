package torrent_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/torrent"
	"spate/tracker"
)

// listener is a tracker that names no peers and records "event left" of each announce.
type listener struct {
	mu  sync.Mutex
	all []string
}

func (l *listener) Announce(_ context.Context, _ string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	event := req.Event.String()
	if req.Event == tracker.EventNone {
		event = "regular"
	}
	l.all = append(l.all, fmt.Sprint(event, " ", req.Left))
	return &tracker.AnnounceResponse{Interval: 10 * time.Minute}, nil
}

// take returns the announces since the last call.
func (l *listener) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

// overwrite replaces a byte of a file, and returns a function that restores it.
func overwrite(t *testing.T, path string) (restore func()) {
	t.Helper()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(good)
	bad[0] ^= 1
	write := func(b []byte, at time.Time) {
		err := os.WriteFile(path, b, 0o666)
		if err == nil {
			err = os.Chtimes(path, at, at) // the clock of the file system may be too coarse
		}
		if err != nil {
			t.Error(err)
		}
	}
	write(bad, time.Unix(1e9, 0))
	return func() { write(good, time.Unix(2e9, 0)) }
}

// TestAnnouncesAreTrue checks what a tracker is told about a torrent that halts, continues,
// loses data, is restarted, or wants only some of its files.
func TestAnnouncesAreTrue(t *testing.T) {
	only := func(name string) func([]string) bool { return func(path []string) bool { return path[0] == name } }
	type world struct {
		*web
		session  *torrent.Session
		tor      *torrent.Torrent
		out      string // directory of the data
		resume   string
		peers    []netip.AddrPort // a seed
		listener *listener
	}
	for name, c := range map[string]struct {
		seeds bool // the torrent only seeds, with all data
		sel   func([]string) bool
		do    func(*testing.T, *world)
		want  []string
	}{
		"a seed": {
			seeds: true,
			do:    func(t *testing.T, w *world) { time.Sleep(11 * time.Minute) },
			want:  []string{"started 0", "regular 0", "stopped 0"},
		},
		"a seed whose file is overwritten": {
			seeds: true,
			do: func(t *testing.T, w *world) {
				overwrite(t, filepath.Join(w.out, "tree", "a"))
				w.tor.Recheck(t.Context())
				time.Sleep(time.Hour)
			},
			want: []string{"started 0", "stopped 0"},
		},
		"a seed whose file is overwritten and restored": {
			seeds: true,
			do: func(t *testing.T, w *world) {
				restore := overwrite(t, filepath.Join(w.out, "tree", "a"))
				w.tor.Recheck(t.Context())
				time.Sleep(time.Minute + time.Second/2) // no check runs at the same time
				restore()
				time.Sleep(time.Minute)
			},
			want: []string{"started 0", "stopped 0", "started 0", "stopped 0"},
		},
		"a seed whose file is deleted and restored": {
			seeds: true,
			do: func(t *testing.T, w *world) {
				path := filepath.Join(w.out, "tree", "a")
				if err := os.Rename(path, path+".away"); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				if err := os.Rename(path+".away", path); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
			},
			want: []string{"started 0", "stopped 0", "started 0", "stopped 0"},
		},
		"a seed that is removed": {
			seeds: true,
			do: func(t *testing.T, w *world) {
				w.session.Remove(w.tor.MetaInfo().Hash())
				time.Sleep(time.Hour)
			},
			want: []string{"started 0", "stopped 0"},
		},
		"a seed that is removed and added again, as in a pause": {
			seeds: true,
			do: func(t *testing.T, w *world) {
				mi := w.tor.MetaInfo()
				w.session.Remove(mi.Hash())
				time.Sleep(time.Minute)
				w.add(w.session, mi, torrent.AddOptions{Dir: w.out, SeedOnly: true})
				time.Sleep(time.Minute)
			},
			want: []string{"started 0", "stopped 0", "started 0", "stopped 0"},
		},
		"a halted seed that is removed": {
			seeds: true,
			do: func(t *testing.T, w *world) {
				overwrite(t, filepath.Join(w.out, "tree", "a"))
				w.tor.Recheck(t.Context())
				time.Sleep(time.Minute)
				w.session.Remove(w.tor.MetaInfo().Hash())
				time.Sleep(time.Minute)
			},
			want: []string{"started 0", "stopped 0"},
		},
		"a seed that is only touched": {
			seeds: true,
			do: func(t *testing.T, w *world) {
				if err := os.Chmod(filepath.Join(w.out, "tree", "a"), 0o600); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Minute)
			},
			want: []string{"started 0", "stopped 0"},
		},
		"a download": {
			do:   func(t *testing.T, w *world) { time.Sleep(11 * time.Minute) },
			want: []string{"started 4500000", "completed 0", "regular 0", "stopped 0"},
		},
		"a download whose file is overwritten afterwards": {
			do: func(t *testing.T, w *world) {
				time.Sleep(time.Minute)
				overwrite(t, filepath.Join(w.out, "tree", "a"))
				w.tor.Recheck(t.Context())
				time.Sleep(11 * time.Minute)
			},
			want: []string{"started 4500000", "completed 0", "stopped 0", "started 65536", "regular 0", "stopped 0"},
		},
		"a download that is removed and added again": {
			do: func(t *testing.T, w *world) {
				time.Sleep(time.Minute)
				mi := w.tor.MetaInfo()
				w.session.Remove(mi.Hash())
				w.add(w.session, mi, torrent.AddOptions{Dir: w.out, Peers: w.peers})
				time.Sleep(time.Minute)
			},
			want: []string{"started 4500000", "completed 0", "stopped 0", "started 0", "stopped 0"},
		},
		"a download whose file is overwritten while it is not running": {
			do: func(t *testing.T, w *world) {
				time.Sleep(time.Minute)
				mi := w.tor.MetaInfo()
				w.session.Remove(mi.Hash())
				overwrite(t, filepath.Join(w.out, "tree", "a"))
				w.add(w.session, mi, torrent.AddOptions{Dir: w.out, Peers: w.peers})
				time.Sleep(11 * time.Minute)
			},
			want: []string{"started 4500000", "completed 0", "stopped 0", "started 65536", "regular 0", "stopped 0"},
		},
		"a download whose data is deleted while it is not running": {
			do: func(t *testing.T, w *world) {
				time.Sleep(time.Minute)
				mi := w.tor.MetaInfo()
				w.session.Remove(mi.Hash())
				os.RemoveAll(filepath.Join(w.out, "tree"))
				w.add(w.session, mi, torrent.AddOptions{Dir: w.out, Peers: w.peers, Force: true})
				time.Sleep(time.Minute)
			},
			want: []string{"started 4500000", "completed 0", "stopped 0", "started 4500000", "completed 0", "stopped 0"},
		},
		"a part of the files": {
			sel:  only("c"),
			do:   func(t *testing.T, w *world) { time.Sleep(11 * time.Minute) },
			want: []string{"started 4500000", "paused 2949120", "stopped 2949120"},
		},
		"a part of the files, and then the rest": {
			sel: only("c"),
			do: func(t *testing.T, w *world) {
				time.Sleep(time.Minute)
				w.tor.Select(func([]string) bool { return true })
				time.Sleep(11 * time.Minute)
			},
			want: []string{"started 4500000", "completed 0", "regular 0", "stopped 0"},
		},
		"all files, and then a part": {
			do: func(t *testing.T, w *world) {
				time.Sleep(time.Minute)
				w.tor.Select(only("c"))
				w.tor.Select(func([]string) bool { return true })
				time.Sleep(11 * time.Minute)
			},
			want: []string{"started 4500000", "completed 0", "regular 0", "stopped 0"},
		},
		"a move": {
			do: func(t *testing.T, w *world) {
				time.Sleep(time.Minute)
				if err := w.tor.Move(t.Context(), w.resume, ""); err != nil {
					t.Error(err)
				}
				time.Sleep(11 * time.Minute)
			},
			want: []string{"started 4500000", "completed 0", "regular 0", "stopped 0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, mi := threeFiles(t)
			out, resume := t.TempDir(), t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w := &world{web: newWeb(t), out: out, resume: resume, listener: &listener{}}
				defer w.end()
				host := w.host(simnet.Link{})
				var err error
				w.session, err = torrent.NewSession(torrent.Options{
					Network: host, Bind: host.Addr(), PeerPort: 6881, Announcer: w.listener, ResumeDir: resume, Seed: 9,
				})
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan struct{})
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				go func() { w.session.Run(ctx); close(ended) }()
				if c.seeds {
					w.out = dir
					w.tor = w.add(w.session, mi, torrent.AddOptions{Dir: dir, SeedOnly: true})
				} else {
					other := w.web.session(simnet.Link{}, torrent.Options{})
					w.add(other, mi, torrent.AddOptions{Dir: dir, SeedOnly: true})
					w.peers = []netip.AddrPort{other.Addr()}
					time.Sleep(time.Second)
					w.tor = w.add(w.session, mi, torrent.AddOptions{Dir: out, Peers: w.peers, Select: c.sel})
				}
				synctest.Wait()
				c.do(t, w)
				cancel()
				<-ended
				if got := w.listener.take(); !slices.Equal(got, c.want) {
					t.Errorf("announced %q, want %q", got, c.want)
				}
			})
		})
	}
}
