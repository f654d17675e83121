package daemon

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"spate/maker"
	"spate/publish"
)

// TestPublishWaitsForItsFiles checks that a file that a program is writing delays the release
// only if it is part of the release, also if patterns select the files.
func TestPublishWaitsForItsFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells which files are open for writing")
	}
	for _, c := range []struct {
		name  string
		opts  maker.Options
		force bool
		waits bool
	}{
		{name: "all files", waits: true},
		{name: "the file is excluded", opts: maker.Options{Exclude: []string{"log"}}},
		{name: "another file is excluded", opts: maker.Options{Exclude: []string{"b"}}, waits: true},
		{name: "the file is not included", opts: maker.Options{Include: []string{"b"}}},
		{name: "the file is included", opts: maker.Options{Include: []string{"log"}}, waits: true},
		{name: "forced", force: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "in")
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"b", "log"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			w, err := os.OpenFile(filepath.Join(dir, "log"), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			early := time.Now().Add(-time.Hour)
			for _, path := range []string{filepath.Join(dir, "b"), filepath.Join(dir, "log"), dir} {
				if err := os.Chtimes(path, early, early); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			waited := false
			if _, err := runDaemon(t, t.TempDir(), func(d *Daemon) {
				r := PublishRequest{Paths: []string{dir}, Make: c.opts, Force: c.force, Waiting: func(string) {
					waited = true
					w.Close()
				}}
				if err := d.Publish(ctx, r, func(string, *publish.Release) error { return nil }); err != nil {
					t.Error(err)
				}
			}); err != nil {
				t.Fatal(err)
			}
			if waited != c.waits {
				t.Errorf("the publisher waited: %t, want %t", waited, c.waits)
			}
		})
	}
}
