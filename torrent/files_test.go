package torrent_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// threeFiles writes a torrent of three files that share pieces.
func threeFiles(t *testing.T) (dir string, mi *metainfo.MetaInfo) {
	t.Helper()
	dir = t.TempDir()
	os.Mkdir(filepath.Join(dir, "tree"), 0o777)
	for name, n := range map[string]int{"a": 1_000_000, "b": 2_000_000, "c": 1_500_000, "empty": 0} {
		data, _ := makeTorrent(t, max(n, 1), 1<<20)
		if err := os.WriteFile(filepath.Join(dir, "tree", name), data[:n], 0o666); err != nil {
			t.Fatal(err)
		}
	}
	mi, err := maker.Make(t.Context(), filepath.Join(dir, "tree"), maker.Options{Format: metainfo.V1, PieceLength: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	mi.AnnounceList = [][]string{{"http://tracker.example/announce"}}
	return dir, mi
}

// has returns the names of the files in dir that are complete.
func has(t *testing.T, want, dir string) string {
	t.Helper()
	var names []string
	entries, _ := os.ReadDir(filepath.Join(want, "tree"))
	for _, e := range entries {
		a, _ := os.ReadFile(filepath.Join(want, "tree", e.Name()))
		b, err := os.ReadFile(filepath.Join(dir, "tree", e.Name()))
		if err == nil && bytes.Equal(a, b) {
			names = append(names, e.Name())
		}
	}
	return strings.Join(names, " ")
}

// TestPriorities checks that a torrent has exactly its wanted files after they are changed
// before the download, during it, and after the torrent is complete.
func TestPriorities(t *testing.T) {
	dir, mi := threeFiles(t)
	out := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		w.add(w.session(simnet.Link{Up: 4 * mbit}, torrent.Options{}), mi, torrent.AddOptions{Dir: dir, SeedOnly: true, PlainSeed: true})
		time.Sleep(time.Second)
		tor := w.onlyPeer(mi, torrent.AddOptions{Dir: out, Select: func(path []string) bool { return path[0] == "a" }})
		w.wait(tor, time.Minute)
		if got := has(t, dir, out); got != "a" {
			t.Errorf("complete: %s, want a", got)
		}
		st := tor.Stats()
		if st.BytesTotal != 1_000_000 || st.BytesDone != st.BytesTotal || st.State != torrent.StateSeeding {
			t.Errorf("%+v", st)
		}
		first := tor.Done()

		// Want another file of the complete torrent.
		if err := tor.SetPriority(torrent.PriorityLow, 1, 3); err != nil {
			t.Fatal(err)
		}
		select {
		case <-first:
		default:
			t.Error("the first channel of Done is open again")
		}
		select {
		case <-tor.Done():
			t.Error("done although another file is wanted")
		default:
		}
		if st := tor.Stats(); st.State != torrent.StateDownloading || st.BytesTotal != 3_000_000 {
			t.Errorf("%+v", st)
		}
		// Want all files, the third one before the rest of the second.
		time.Sleep(time.Second)
		if err := tor.SetPriority(torrent.PriorityHigh, 2); err != nil {
			t.Fatal(err)
		}
		for tor.Files()[2].Done < 1_500_000 {
			time.Sleep(100 * time.Millisecond)
		}
		if f := tor.Files(); f[1].Done > 1_500_000 || f[2].Priority != torrent.PriorityHigh || f[1].Priority != torrent.PriorityLow {
			t.Errorf("%+v", f)
		}
		// Without the missing files the torrent is complete at once.
		if err := tor.Select(func(path []string) bool { return path[0] != "b" }); err != nil {
			t.Fatal(err)
		}
		w.wait(tor, time.Second)
		if got := has(t, dir, out); got != "a c empty" {
			t.Errorf("complete: %s, want a c empty", got)
		}
		if err := tor.Select(func([]string) bool { return true }); err != nil {
			t.Fatal(err)
		}
		w.wait(tor, time.Minute)
		if got := has(t, dir, out); got != "a b c empty" {
			t.Errorf("complete: %s", got)
		}
		if st := tor.Stats(); st.Wasted > 64<<10 || len(tor.Banned()) > 0 {
			t.Errorf("wasted %d, banned %v", st.Wasted, tor.Banned())
		}
		for _, f := range tor.Files() {
			if f.Done != f.Length {
				t.Errorf("%+v", f)
			}
		}
	})
}

// TestSetPriorityErrors checks the errors of SetPriority.
func TestSetPriorityErrors(t *testing.T) {
	data, mi := makeTorrent(t, 100_000, 16<<10)
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		tor := w.onlyPeer(mi, torrent.AddOptions{Storage: storage.NewMemoryLike(data)})
		for _, err := range []error{tor.SetPriority(8, 0), tor.SetPriority(1, 1), tor.SetPriority(1, -1)} {
			if err == nil {
				t.Error("no error")
			}
		}
		seed := w.onlyPeer(mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		if err := seed.SetPriority(torrent.PrioritySkip, 0); !errors.Is(err, torrent.ErrSeedOnly) {
			t.Error(err)
		}
	})
}

// TestPrioritiesChangeOften checks that complete files have the right data and no peer is
// banned if the priorities change often while peers send blocks that were wanted before.
func TestPrioritiesChangeOften(t *testing.T) {
	dir, mi := threeFiles(t)
	out := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		for range 3 {
			w.add(w.session(simnet.Link{Up: 2 * mbit}, torrent.Options{}), mi, torrent.AddOptions{Dir: dir, SeedOnly: true})
		}
		time.Sleep(time.Second)
		tor := w.onlyPeer(mi, torrent.AddOptions{Dir: out})
		for i := range 60 {
			time.Sleep(37 * time.Millisecond)
			if err := tor.Select(func(path []string) bool { return (i+int(path[0][0]))%3 == 0 }); err != nil {
				t.Fatal(err)
			}
		}
		if err := tor.Select(func([]string) bool { return true }); err != nil {
			t.Fatal(err)
		}
		w.wait(tor, time.Minute)
		if got := has(t, dir, out); got != "a b c empty" || len(tor.Banned()) > 0 {
			t.Errorf("complete: %s, banned %v", got, tor.Banned())
		}
		t.Logf("wasted %d", tor.Stats().Wasted)
	})
}
