package torrent_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/metainfo"
	"spate/torrent"
)

// TestLongerFileIsNotSeeded checks that a torrent that only seeds does not seed a file that has
// become longer, although its beginning is good, whether it became so before the first start,
// before a restart or while it is seeded; and that it seeds the file when it is as it was.
func TestLongerFileIsNotSeeded(t *testing.T) {
	for _, when := range []string{"before the start", "before a restart", "while it is seeded"} {
		for _, file := range []string{"tree/0", "tree/4"} {
			t.Run(when+", "+file, func(t *testing.T) {
				t.Parallel()
				five, resume := newFiveFiles(t, metainfo.V2), t.TempDir()
				path := filepath.Join(five.dir, filepath.FromSlash(file))
				change := func(size int) {
					info, err := os.Stat(path)
					if err != nil {
						t.Fatal(err)
					}
					if err := errors.Join(os.Truncate(path, int64(size)), os.Chtimes(path, time.Time{}, info.ModTime().Add(time.Second))); err != nil {
						t.Fatal(err)
					}
				}
				length := len(five.data[file])
				synctest.Test(t, func(t *testing.T) {
					w := newWeb(t)
					defer w.end()
					s := w.session(simnet.Link{}, torrent.Options{})
					opt := torrent.AddOptions{Dir: five.dir, SeedOnly: true, ResumeDir: resume}
					add := func() *torrent.Torrent {
						tor := w.add(s, five.mi, opt)
						time.Sleep(time.Minute)
						return tor
					}
					if when == "before the start" {
						change(length + 1)
					}
					tor := add()
					if when != "before the start" && !tor.Whole() {
						t.Fatalf("before the change: %+v", tor.Stats())
					}
					switch when {
					case "before a restart":
						s.Remove(five.mi.Hash())
						time.Sleep(time.Minute)
						change(length + 1)
						tor = add()
					case "while it is seeded":
						change(length + 1)
						time.Sleep(5 * time.Minute)
					}
					st := tor.Stats()
					pieces := (length + 16<<10 - 1) / (16 << 10)
					if when == "while it is seeded" {
						if st.State != torrent.StateFailed || st.Err == nil {
							t.Errorf("the longer file: %+v, want a halt", st)
						}
					} else if st.PiecesHave != st.Pieces-pieces || tor.Whole() {
						t.Errorf("the longer file: %d of %d pieces are seeded, want all but %d", st.PiecesHave, st.Pieces, pieces)
					}
					change(length)
					time.Sleep(5 * time.Minute)
					if !tor.Whole() || tor.State() != torrent.StateSeeding {
						t.Errorf("the file as it was: %+v", tor.Stats())
					}
				})
			})
		}
	}
}
