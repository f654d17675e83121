package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"spate/storage"
)

// TestMoveToAnotherDisk checks that data that was copied and compared is not checked again, but a file
// that another program has changed before the move is.
func TestMoveToAnotherDisk(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(path string) error{
		"unchanged": func(string) error { return nil },
		"changed":   func(path string) error { return os.WriteFile(path, make([]byte, 40_000), 0o666) },
	} {
		to, err := os.MkdirTemp("/dev/shm", "spate-test-*")
		if err != nil {
			t.Skip(err)
		}
		defer os.RemoveAll(to)
		state := filepath.Join(t.TempDir(), "state")
		list := offlineTorrents(t, state)
		m := newMovedData(t, state)
		if _, err := list.Add(t.Context(), AddRequest{Torrent: m.b, Dir: m.dir, Paused: true}); err != nil {
			t.Fatal(err)
		}
		e := list.by[m.mi.Hash()]
		if err := list.update(e, func(r *torrentRecord) { r.DataName = "t" }); err != nil {
			t.Fatal(err)
		}
		if err := change(filepath.Join(m.dir, "t", "a")); err != nil {
			t.Fatal(err)
		}
		if err := list.Move(t.Context(), "t", to, false); err != nil || m.holds(m.dir) != "none" {
			t.Fatalf("%s: the move: %v, the old directory holds %s", what, err, m.holds(m.dir))
		}
		files, err := list.dataOf(&e.rec, m.mi, to)
		if err != nil {
			t.Fatal(err)
		}
		defer files.Close()
		now, err := files.Stats()
		if err != nil {
			t.Fatal(err)
		}
		rec, err := storage.LoadResume(list.store.dir, m.mi.Hash())
		if err != nil {
			t.Fatal(err)
		}
		touched := 0
		for _, v := range rec.Judge(now) {
			if v != storage.Unchanged {
				touched++
			}
		}
		if want := map[string]int{"unchanged": 0, "changed": 1}[what]; touched != want || rec.Dir != to {
			t.Errorf("%s: the engine checks %d files in %s, want %d", what, touched, rec.Dir, want)
		}
	}
}
