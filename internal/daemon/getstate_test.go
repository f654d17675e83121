package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spate/bitfield"
	"spate/maker"
	"spate/storage"
	"spate/torrent"
)

// TestDamagedGetState checks that a download starts whatever one entry of its state directory is,
// that it reports what it could not use, and that the next download reports nothing.
func TestDamagedGetState(t *testing.T) {
	t.Parallel()
	data, model := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "file"), []byte("the data"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := maker.Make(t.Context(), filepath.Join(data, "file"), maker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	download := func(state string) (warnings []string, err error) {
		env := testEnv()
		env.Warnf = func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
		if err := env.PrepareState(state); err != nil {
			return warnings, err
		}
		s, err := OpenSession(env, SessionConfig{AnyPort: true, NoLSD: true, NoUTP: true, Options: torrent.Options{
			Bind: netip.MustParseAddr("127.0.0.1"), ResumeDir: filepath.Join(state, "get"),
		}})
		if err != nil {
			return warnings, err
		}
		defer s.Stop()
		d, err := PrepareDownload(t.Context(), env, m, DownloadConfig{State: filepath.Join(state, "get"), Dir: data, Name: "file"},
			func() (func(done, total int64), func()) { return func(int64, int64) {}, func() {} })
		if err != nil {
			return warnings, err
		}
		defer d.Release()
		return warnings, storage.SaveResume(d.claim.ResumeDir, &storage.Record{InfoHash: m.Hash(), Dir: data, Name: "file", Have: bitfield.New(1)})
	}
	for range 2 {
		if _, err := download(model); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(model, "get", "announces.json"), []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) func(string) error {
		return func(p string) error { return errors.Join(os.RemoveAll(p), os.WriteFile(p, b, 0o600)) }
	}
	damages := map[string]func(path string) error{
		"empty": write(nil), "zeros": write(make([]byte, 5000)), "garbage": write([]byte("garbage")),
		"a directory": func(p string) error { return errors.Join(os.RemoveAll(p), os.MkdirAll(filepath.Join(p, "x"), 0o700)) },
		"a pipe":      func(p string) error { return errors.Join(os.RemoveAll(p), mkfifo(p)) },
		"a link":      func(p string) error { return errors.Join(os.RemoveAll(p), os.Symlink("nowhere/at/all", p)) },
	}
	cases := 0
	err = filepath.WalkDir(model, func(path string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(model, path)
		if err != nil || rel == "." {
			return err
		}
		for name, damage := range damages {
			if e.IsDir() && name == "a directory" {
				continue
			}
			cases++
			t.Run(name+" "+rel, func(t *testing.T) {
				t.Parallel()
				state := t.TempDir()
				copyTree(t, model, state)
				if err := damage(filepath.Join(state, rel)); errors.Is(err, errors.ErrUnsupported) {
					t.Skip(err)
				} else if err != nil {
					t.Fatal(err)
				}
				// The content of a lock has no use, an older record none beside the newer, and the session
				// reads the record of the trackers, and logs its damage, at its end.
				content := !e.IsDir() && slices.Contains([]string{"empty", "zeros", "garbage"}, name)
				quiet := content && slices.ContainsFunc([]string{".lock", ".old", ".json"}, func(ext string) bool { return strings.HasSuffix(rel, ext) })
				for run := range 2 {
					warnings, err := download(state)
					if err != nil {
						t.Fatalf("run %d: %v", run, err)
					}
					if want := run == 0 && !quiet; want != (len(warnings) > 0) {
						t.Errorf("run %d warns %q, want a warning: %v", run, warnings, want)
					}
				}
				if _, err := os.Lstat(filepath.Join(state, rel) + ".damaged"); (err == nil) != (!quiet || strings.HasSuffix(rel, ".json")) {
					t.Errorf("the damaged entry is kept: %v", err == nil)
				}
			})
		}
		return nil
	})
	if err != nil || cases < 30 {
		t.Errorf("%d cases, %v", cases, err)
	}
}
