//go:build unix

package daemon

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate/publish"
	"spate/storage"
)

// TestTouchedRelease changes the file of a release without changing its size and modification
// time, while the daemon runs or is stopped. A file with the same data is sent, and a file with
// other data is not, also after another restart.
func TestTouchedRelease(t *testing.T) {
	t.Parallel()
	keepTime := func(path string, f func() error) error {
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		return errors.Join(f(), os.Chtimes(path, fi.ModTime(), fi.ModTime()))
	}
	write := func(path string, data []byte) error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	}
	for _, c := range []struct {
		name string
		do   func(path string, data []byte) error
		good bool
	}{
		{"permissions", func(p string, _ []byte) error { return os.Chmod(p, 0o600) }, true},
		{"hard link", func(p string, _ []byte) error { return os.Link(p, p+".link") }, true},
		{"renamed and back", func(p string, _ []byte) error { return errors.Join(os.Rename(p, p+".x"), os.Rename(p+".x", p)) }, true},
		{"written with the same data", func(p string, data []byte) error { return keepTime(p, func() error { return write(p, data) }) }, true},
		{"restored from a backup", func(p string, data []byte) error {
			return keepTime(p, func() error { return errors.Join(os.WriteFile(p+".x", data, 0o666), os.Rename(p+".x", p)) })
		}, true},
		{"first byte", func(p string, data []byte) error {
			return keepTime(p, func() error { return write(p, []byte{data[0] ^ 1}) })
		}, false},
		{"replaced", func(p string, data []byte) error {
			return keepTime(p, func() error {
				return errors.Join(os.WriteFile(p+".x", make([]byte, len(data)), 0o666), os.Rename(p+".x", p))
			})
		}, false},
	} {
		for _, how := range []string{"running", "stopped", "stopped without resume data"} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				t.Parallel()
				dir, state := t.TempDir(), t.TempDir()
				path := filepath.Join(dir, "file.bin")
				var r *publish.Release
				var data []byte
				check := func(d *Daemon) {
					t.Helper()
					body, status := fetched(t, d, r, c.good)
					want := http.StatusServiceUnavailable
					if c.good {
						want = http.StatusOK
					}
					if status != want || c.good && !bytes.Equal(body, data) {
						t.Errorf("the site answered %d with %d bytes, want %d", status, len(body), want)
					}
				}
				run := func(f func(*Daemon)) {
					t.Helper()
					if _, err := runDaemon(t, state, f); err != nil {
						t.Fatal(err)
					}
				}
				change := func() {
					t.Helper()
					if err := c.do(path, data); err != nil {
						t.Fatal(err)
					}
				}
				run(func(d *Daemon) {
					r = publishNoise(t, d, path, 1)
					var err error
					if data, err = os.ReadFile(path); err != nil {
						t.Fatal(err)
					}
					if _, status := fetched(t, d, r, true); status != http.StatusOK {
						t.Fatalf("before the change the site answered %d", status)
					}
					if how == "running" {
						change()
						check(d)
					}
				})
				switch how {
				case "stopped without resume data":
					for _, ih := range r.AllHashes() {
						if err := storage.RemoveResume(filepath.Join(state, "publish"), ih); err != nil {
							t.Fatal(err)
						}
					}
					fallthrough
				case "stopped":
					change()
				}
				run(check)
				run(check)
			})
		}
	}
}

// fetched returns the response to a request for the file of r. It waits while the daemon checks
// the data, which is good or not.
func fetched(t *testing.T, d *Daemon, r *publish.Release, good bool) ([]byte, int) {
	t.Helper()
	for range 600 {
		resp, err := http.Get("http://" + d.HTTPAddr() + publish.DownloadPath(r.Ref()))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		failed := d.ReleaseState(t.Context(), r).Name == publish.StateFailed
		if resp.StatusCode != http.StatusServiceUnavailable || failed && !good {
			return body, resp.StatusCode
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the check does not end")
	return nil, 0
}
