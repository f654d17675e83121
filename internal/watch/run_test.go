package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestSchedule checks that a call comes after a pause in the changes, that changes without
// a pause do not delay it for ever, and that they never delay the regular call.
func TestSchedule(t *testing.T) {
	t.Parallel()
	const settle, every = time.Second, time.Minute
	start := time.Unix(1e9, 0)
	s := schedule{settle: settle}
	check := func(what string, got, want time.Duration) {
		t.Helper()
		if got != want {
			t.Errorf("%s: next call after %v, want %v", what, got, want)
		}
	}
	check("without changes", s.looked(start, every), every)
	check("first change", s.changed(start.Add(5*time.Second)), settle)
	check("next change", s.changed(start.Add(10*time.Second)), settle)
	check("changes for almost ten times the pause", s.changed(start.Add(14500*time.Millisecond)), settle/2)
	check("changes for longer", s.changed(start.Add(16*time.Second)), 0)
	start = start.Add(16 * time.Second)
	check("after the call", s.looked(start, every), every)
	check("change shortly before the regular call", s.changed(start.Add(every-settle/4)), settle/4)
	check("an early call", s.looked(start, settle/2), settle/2)
	check("change before the early call", s.changed(start.Add(settle/4)), settle/4)
}

// TestRunLooksAfterChanges checks that look is called at the start, when it has asked for a
// call, and after changes in the directories that it adds, even if a directory was removed
// and created again.
func TestRunLooksAfterChanges(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	looks := make(chan []string) // look sends the names in dir, or nil if dir does not exist
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		first := true
		Run(ctx, RunOptions{Settle: time.Millisecond, Every: 24 * time.Hour}, func(d *Dirs) {
			d.Add(dir)
			d.Add(filepath.Dir(dir))
			if first {
				d.Again(time.Millisecond)
			}
			first = false
			var names []string
			if entries, err := os.ReadDir(dir); err == nil {
				names = []string{}
				for _, e := range entries {
					names = append(names, e.Name())
				}
			}
			select {
			case looks <- names:
			case <-ctx.Done():
			}
		})
	}()
	<-looks
	<-looks // look asked for this call by Again
	seen := func(want []string) {
		t.Helper()
		for { // one change can be several events
			select {
			case got := <-looks:
				if slices.Equal(got, want) && (got == nil) == (want == nil) {
					return
				}
			case <-time.After(5 * time.Minute):
				t.Fatalf("look was not called for %q", want)
			}
		}
	}
	write := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	seen([]string{"a"})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	seen(nil)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	seen([]string{})
	write("b")
	seen([]string{"b"})
	cancel()
	<-ended
}

// TestMatters checks that changes which do not matter cause no call.
func TestMatters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan Change, 100)
	calls := 0
	first := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Run(ctx, RunOptions{
			Settle: time.Millisecond, Every: 24 * time.Hour,
			Matters: func(c Change) bool { seen <- c; return false },
		}, func(d *Dirs) {
			d.Add(dir)
			calls++
			close(first) // panics at a second call
		})
	}()
	<-first
	path := filepath.Join(dir, "x")
	if err := os.WriteFile(path, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if c := <-seen; c != (Change{Path: path}) {
		t.Errorf("creating a file was reported as %+v", c)
	}
	if c := <-seen; c != (Change{Path: path, Content: true}) {
		t.Errorf("writing a file was reported as %+v", c)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for c := range seen {
		if c.Attributes {
			break
		}
	}
	cancel()
	<-ended
	if calls != 1 {
		t.Errorf("look was called %d times", calls)
	}
}
