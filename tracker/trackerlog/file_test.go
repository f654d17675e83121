package trackerlog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate/tracker"
)

// TestRotation checks that a full file is renamed, that an incomplete line is ended, and
// that Reopen creates a new file.
func TestRotation(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"activity.log", strings.Repeat("n", 250), strings.Repeat("n", 254), strings.Repeat("n", 255), "\u00e9" + strings.Repeat("n", 253)} {
		t.Run(fmt.Sprint(len(name)), func(t *testing.T) {
			t.Parallel()
			testRotation(t, filepath.Join(t.TempDir(), name))
		})
	}
}

func testRotation(t *testing.T, path string) {
	if err := os.WriteFile(path, []byte(`{"time":"2026-`), 0o600); err != nil { // a crash has left an incomplete line
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(older(path, 2), "x"), 0o700); err != nil { // it is in the way of an older file
		t.Fatal(err)
	}
	l, err := Open(path, Options{MaxSize: 1200, Keep: 3})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 20 {
		l.Observe(observation(1+i, byte(i), tracker.EventStarted, nil))
	}
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	files := Files(path)
	if len(files) != 4 || !strings.HasSuffix(files[0], ".3") || files[3] != path {
		t.Fatalf("%v", files)
	}
	p := NewReporter()
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil || st.Size() > 1200 {
			t.Errorf("%s: %v, %d bytes", f, err, st.Size())
		}
		if err := p.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	r := p.Report()
	if r.All.Started < 8 || r.All.Started > 20 || r.To.Day() != 20 || len(r.Days) != int(r.All.Started) {
		t.Errorf("%+v", r.All)
	}
	// Another program renames the file.
	if err := os.Rename(path, filepath.Join(filepath.Dir(path), "away")); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Observe(observation(1, 1, tracker.EventStarted, nil))
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Size() == 0 {
		t.Errorf("the new file is empty: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
