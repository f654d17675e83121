//go:build unix

package torrent

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"spate/storage"
)

// TestTouchedFiles checks that a seed continues with all pieces if another program changed only
// attributes of its file, and that it offers no wrong piece if the data was changed and the
// modification time put back. The change happens while the torrent seeds, or between two runs.
func TestTouchedFiles(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 4<<20, 64<<10)
	keepTime := func(path string, f func() error) error {
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		return errors.Join(f(), os.Chtimes(path, fi.ModTime(), fi.ModTime()))
	}
	write := func(path string, at int64) error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte{data[at] ^ 1}, at)
		return errors.Join(err, f.Close())
	}
	for _, c := range []struct {
		name string
		do   func(path string) error
		bad  int // pieces that are wrong
	}{
		{"permissions", func(p string) error { return os.Chmod(p, 0o640) }, 0},
		{"hard link", func(p string) error { return os.Link(p, p+".link") }, 0},
		{"renamed and back", func(p string) error { return errors.Join(os.Rename(p, p+".x"), os.Rename(p+".x", p)) }, 0},
		{"restored from a backup", func(p string) error {
			return keepTime(p, func() error { return errors.Join(os.WriteFile(p+".x", data, 0o666), os.Rename(p+".x", p)) })
		}, 0},
		{"one byte", func(p string) error { return keepTime(p, func() error { return write(p, 1_234_567) }) }, 1},
		{"first and last byte", func(p string) error {
			return keepTime(p, func() error { return errors.Join(write(p, 0), write(p, 4<<20-1)) })
		}, 2},
		{"replaced by other data", func(p string) error {
			return keepTime(p, func() error {
				return errors.Join(os.WriteFile(p+".x", make([]byte, 4<<20), 0o666), os.Rename(p+".x", p))
			})
		}, 64},
	} {
		for _, how := range []string{"running", "restarted", "published", "restarted as published"} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				t.Parallel()
				dir, resume := t.TempDir(), t.TempDir()
				path := filepath.Join(dir, mi.Info.Name)
				if err := os.WriteFile(path, data, 0o666); err != nil {
					t.Fatal(err)
				}
				add := AddOptions{Dir: dir, SeedOnly: true}
				run := func() (*Torrent, func()) {
					s, err := NewSession(Options{Bind: loopback, ResumeDir: resume})
					if err != nil {
						t.Fatal(err)
					}
					tor, err := s.Add(mi, add)
					if err != nil {
						t.Fatal(err)
					}
					for end := time.Now().Add(patience); tor.Stats().State == StateChecking; time.Sleep(time.Millisecond) {
						if time.Now().After(end) {
							t.Fatal("the check does not end")
						}
					}
					return tor, func() { s.Close() }
				}
				add.Verified = how == "published"
				tor, stop := run()
				if how == "restarted" || how == "restarted as published" {
					stop()
				}
				if err := c.do(path); err != nil {
					t.Fatal(err)
				}
				if how == "restarted" || how == "restarted as published" {
					add.Verified = how == "restarted as published"
					tor, stop = run()
				} else {
					if _, err := tor.data.store.ReadAt(make([]byte, 10), 1_234_567); !errors.Is(err, storage.ErrTouched) {
						t.Errorf("the next read returned %v, want ErrTouched", err)
					}
					tor.checkFiles()
					if st := tor.Stats(); st.State != StateFailed || !errors.Is(st.Err, storage.ErrTouched) {
						t.Errorf("the seed noticed no change: %v, %v", st.State, st.Err)
					}
					tor.retry()
				}
				defer func() { stop() }()
				st := tor.Stats()
				running := how == "running" || how == "published"
				switch {
				case c.bad == 0 && (st.State != StateSeeding || st.PiecesHave != 64):
					t.Errorf("the seed has %d of 64 pieces and is %v (%v)", st.PiecesHave, st.State, st.Err)
				case c.bad > 0 && running && st.State != StateFailed:
					t.Errorf("the seed with wrong data is %v", st.State)
				case c.bad > 0 && !running && st.PiecesHave != 64-c.bad:
					t.Errorf("the seed has %d pieces, want %d", st.PiecesHave, 64-c.bad)
				}
				// The result is the same after a restart, and after a restart with the data restored.
				stop()
				add.Verified = false // as a publisher adds a release whose files differ
				tor, stop = run()
				if st := tor.Stats(); st.PiecesHave != 64-c.bad {
					t.Errorf("after another restart the seed has %d pieces, want %d", st.PiecesHave, 64-c.bad)
				}
				stop()
				if err := keepTime(path, func() error { return os.WriteFile(path, data, 0o666) }); err != nil {
					t.Fatal(err)
				}
				tor, stop = run()
				if st := tor.Stats(); st.State != StateSeeding || st.PiecesHave != 64 {
					t.Errorf("with restored data the seed has %d of 64 pieces and is %v", st.PiecesHave, st.State)
				}
			})
		}
	}
}

// TestSpread checks that a sample has the first and the last element and at most n.
func TestSpread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n    int
		want []int
	}{{2, []int{0, 9}}, {3, []int{0, 4, 9}}, {10, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}, {11, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}} {
		if got := spread([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, c.n); !slices.Equal(got, c.want) {
			t.Errorf("spread to %d returned %v, want %v", c.n, got, c.want)
		}
	}
}
