package torrent_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/storage"
	"spate/torrent"
)

// TestDownloadRepairsChangedFiles checks that a download whose files another program changes
// downloads the damaged pieces again, and no others, and is complete with exactly the right
// files. If an entry is in the way of a file, the download fails.
func TestDownloadRepairsChangedFiles(t *testing.T) {
	const all = 4_500_000
	dir, mi := threeFiles(t)
	for _, c := range []struct {
		name   string
		do     func(a string) error // a is the path of a complete file of 1,000,000 bytes
		again  int64                // the most bytes that are downloaded again
		reason error                // why the download fails; nil if it completes
	}{
		{"cut by one byte", func(a string) error { return os.Truncate(a, 999_999) }, 64 << 10, nil},
		{"cut", func(a string) error { return os.Truncate(a, 500_000) }, 600_000, nil},
		{"emptied", func(a string) error { return os.Truncate(a, 0) }, 1_100_000, nil},
		{"longer by one byte", func(a string) error { return os.Truncate(a, 1_000_001) }, 0, nil},
		{"longer", func(a string) error { return os.Truncate(a, 9_000_000) }, 0, nil},
		{"removed", os.Remove, 1_100_000, nil},
		{"replaced by other data", func(a string) error {
			return errors.Join(os.WriteFile(a+".x", make([]byte, 1_000_000), 0o666), os.Rename(a+".x", a))
		}, 1_100_000, nil},
		{"replaced by a shorter file", func(a string) error {
			return errors.Join(os.WriteFile(a+".x", nil, 0o666), os.Rename(a+".x", a))
		}, 1_100_000, nil},
		{"replaced by a longer file", func(a string) error {
			return errors.Join(os.WriteFile(a+".x", make([]byte, 1_000_001), 0o666), os.Rename(a+".x", a))
		}, 0, storage.ErrLonger},
		{"replaced by a directory", func(a string) error { return errors.Join(os.Remove(a), os.Mkdir(a, 0o777)) }, 0, storage.ErrObstructed},
		{"replaced by a link to its data", func(a string) error {
			return errors.Join(os.Rename(a, a+".x"), os.Symlink("a.x", a))
		}, 0, storage.ErrObstructed},
		{"empty file longer", func(a string) error { return os.WriteFile(beside(a, "empty"), []byte("text"), 0o666) }, 0, nil},
		{"empty file removed", func(a string) error { return os.Remove(beside(a, "empty")) }, 0, nil},
		{"incomplete file cut", func(a string) error { return os.Truncate(beside(a, "b"), 10) }, 2_000_000, nil},
		{"incomplete file longer", func(a string) error { return os.Truncate(beside(a, "b"), 2_000_001) }, 0, nil},
		{"all files removed", func(a string) error { return os.RemoveAll(filepath.Dir(a)) }, all, nil},
	} {
		for _, late := range []bool{false, true} { // late: a moment before the download is complete
			t.Run(c.name, func(t *testing.T) {
				out, resume := t.TempDir(), t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					w := newWeb(t)
					defer w.end()
					w.add(w.session(simnet.Link{Up: 4 * mbit}, torrent.Options{}), mi, torrent.AddOptions{Dir: dir, SeedOnly: true})
					time.Sleep(time.Second)
					tor := w.onlyPeer(mi, torrent.AddOptions{Dir: out, ResumeDir: resume, Sequential: true})
					for done := int64(2_000_000); tor.Stats().BytesDone < done; {
						if late {
							done = all - 200_000
						}
						time.Sleep(100 * time.Millisecond)
					}
					if err := c.do(filepath.Join(out, "tree", "a")); err != nil {
						t.Fatal(err)
					}
					err := tor.Wait(t.Context())
					if !errors.Is(err, c.reason) || c.reason == nil && err != nil {
						t.Fatalf("the download returned %v, want %v", err, c.reason)
					}
					if c.reason != nil {
						return
					}
					if got := has(t, dir, out); got != "a b c empty" {
						t.Errorf("complete: %s", got)
					}
					if st := tor.Stats(); st.Downloaded > all+max(c.again, 1)+1<<20 { // 1 MiB: blocks of pieces that were in progress
						t.Errorf("%d bytes were downloaded again, want at most %d", st.Downloaded-all, c.again)
					}
				})
			})
		}
	}
}

func beside(path, name string) string { return filepath.Join(filepath.Dir(path), name) }

// TestDownloadGivesUpRepairs checks that a download fails with the reason if another program
// changes its file again and again.
func TestDownloadGivesUpRepairs(t *testing.T) {
	dir, mi := threeFiles(t)
	out := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t)
		defer w.end()
		w.add(w.session(simnet.Link{Up: 4 * mbit}, torrent.Options{}), mi, torrent.AddOptions{Dir: dir, SeedOnly: true})
		time.Sleep(time.Second)
		tor := w.onlyPeer(mi, torrent.AddOptions{Dir: out, Sequential: true})
		failed := make(chan error, 1)
		go func() { failed <- tor.Wait(t.Context()) }()
		for {
			select {
			case err := <-failed:
				if !errors.Is(err, storage.ErrChanged) {
					t.Errorf("the download returned %v, want ErrChanged", err)
				}
				return
			case <-time.After(500 * time.Millisecond):
				os.Truncate(filepath.Join(out, "tree", "a"), 5)
			}
		}
	})
}
