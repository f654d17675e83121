package torrent_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/storage"
	"spate/torrent"
)

// refusing is a Dir that cannot store one file.
type refusing struct {
	*storage.Dir
	file   int
	reason error
}

func (r refusing) WriteAt(p []byte, off int64) (int, error) {
	for e := range r.Layout().Extents(off, int64(len(p))) {
		if e.File == r.file && r.Wanted(r.file) {
			return 0, &storage.Error{Op: "create", Path: "b", File: r.file, Reason: r.reason}
		}
	}
	return r.Dir.WriteAt(p, off)
}

// TestFileThatCannotBeStoredIsLeftOut checks that a download completes all other files, and that
// Wait then returns the reason.
func TestFileThatCannotBeStoredIsLeftOut(t *testing.T) {
	dir, mi := threeFiles(t)
	for _, c := range []struct {
		reason error
		file   int
		want   string
	}{
		{storage.ErrName, 1, "a c empty"},
		{storage.ErrTooLarge, 1, "a c empty"},
		{storage.ErrName, 0, "b c empty"},
		{storage.ErrName, 2, "a b empty"},
	} {
		out := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w := newWeb(t)
			defer w.end()
			w.add(w.session(simnet.Link{Up: 40 * mbit}, torrent.Options{}), mi, torrent.AddOptions{Dir: dir, SeedOnly: true})
			time.Sleep(time.Second)
			d, err := storage.OpenDir(out, &mi.Info, storage.NewPool(0), storage.DirOptions{})
			if err != nil {
				t.Fatal(err)
			}
			tor := w.onlyPeer(mi, torrent.AddOptions{Storage: refusing{d, c.file, c.reason}})
			if err := tor.Wait(t.Context()); !errors.Is(err, c.reason) {
				t.Fatalf("Wait returned %v, want %v", err, c.reason)
			}
			if got := has(t, dir, out); got != c.want || tor.Stats().State != torrent.StateSeeding {
				t.Errorf("complete: %s, %v, want %s", got, tor.Stats().State, c.want)
			}
		})
	}
}
