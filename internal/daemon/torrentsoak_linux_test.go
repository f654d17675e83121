package daemon

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/torrent"
)

// usage is what a process uses.
type usage struct {
	goroutines, files int
	heap              uint64 // bytes
}

func measureUsage(t *testing.T) (u usage) {
	t.Helper()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return usage{runtime.NumGoroutine(), len(entries), m.HeapAlloc}
}

// TestAnHourOfChurn adds, pauses, resumes, changes, moves, checks and removes torrents for an hour of
// simulated time, in a session that seeds them. Nothing may be left: no goroutine, no open file, no
// memory and no record. It does not run beside other tests, which open files too.
func TestAnHourOfChurn(t *testing.T) {
	top := t.TempDir()
	state := filepath.Join(top, "state")
	m := newMovedData(t, state)
	synctest.Test(t, func(t *testing.T) {
		at := netip.AddrFrom4([4]byte{10, 0, 0, 1})
		host := simnet.New(simnet.Options{Seed: 1}).Host(at, simnet.Link{})
		engine, err := torrent.NewSession(torrent.Options{Network: host, Bind: at, PeerPort: 6881, Seed: 1, ResumeDir: filepath.Join(state, "resume")})
		if err != nil {
			t.Fatal(err)
		}
		list := offlineTorrents(t, state)
		list.session = &Session{Session: engine, env: list.env}
		list.checks = make(chan struct{}, maxChecks)
		events := map[string]int{}
		var mu sync.Mutex // guards events
		list.event = func(what string, _ *TorrentInfo) {
			mu.Lock()
			events[what]++
			mu.Unlock()
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { engine.Run(ctx) })
		wg.Go(func() { list.Run(ctx) })
		defer wg.Wait()
		defer cancel()

		const warm, cycles = 4, 20
		var before usage
		dirs := []string{m.dir, filepath.Join(top, "other")}
		for n := range cycles {
			if n == warm {
				synctest.Wait()
				before = measureUsage(t)
			}
			churn(t, list, m, dirs[n%2], dirs[(n+1)%2], n)
		}
		synctest.Wait()
		after := measureUsage(t)
		if after.goroutines > before.goroutines || after.files > before.files || after.heap > before.heap+1<<20 {
			t.Errorf("after an hour the process uses %+v, and after twelve minutes %+v", after, before)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, what := range []string{"added", "completed", "paused", "resumed", "moved", "removed"} {
			if events[what] < cycles {
				t.Errorf("the events are %v", events)
				break
			}
		}
		if files, _ := os.ReadDir(list.store.dir); len(files) > 0 {
			t.Errorf("the records contain %v", files)
		}
	})
}

// churn is three minutes in the life of a torrent whose data is in the directory from, and of a magnet link.
func churn(t *testing.T, list *Torrents, m *movedData, from, to string, n int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("turn %d: %v", n, err)
		}
	}
	ref, ctx := m.mi.Hash().String(), t.Context()
	_, err := list.Add(ctx, AddRequest{Torrent: m.b, Dir: from})
	must(err)
	_, err = list.Add(ctx, AddRequest{Source: strings.Repeat("a", 40), Paused: true})
	must(err)
	time.Sleep(time.Minute)
	i, err := list.Info(ref)
	must(err)
	if i.State != TorrentSeeding {
		t.Fatalf("turn %d: the torrent is %+v", n, i)
	}
	yes, no, first, rate := true, false, 0, int64(1e6)
	must(list.Change(ctx, ref, TorrentChange{Paused: &yes}))
	must(list.Change(ctx, ref, TorrentChange{Paused: &no, Up: &rate, Place: &first}))
	time.Sleep(30 * time.Second)
	must(list.Recheck(ctx, ref))
	time.Sleep(30 * time.Second)
	must(list.Move(ctx, ref, to, false))
	time.Sleep(time.Minute)
	must(list.Remove(ctx, ref, false))
	must(list.Remove(ctx, strings.Repeat("a", 40), false))
}
