package daemon

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/maker"
	"spate/publish"
	"spate/torrent"
)

// recordedTracker records which releases this machine seeds according to the notes.
type recordedTracker struct {
	mu     sync.Mutex
	served map[spate.InfoHash]bool
}

func (r *recordedTracker) Allow(ih spate.InfoHash, n publish.Note) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served[ih] = !n.Paused
	return nil
}

func (r *recordedTracker) Disallow(ih spate.InfoHash) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.served, ih)
	return nil
}

// all reports whether the tracker has info-hashes, and whether every one is served or not.
func (r *recordedTracker) all(served bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.served) > 0 && !slices.Contains(slices.Collect(maps.Values(r.served)), !served)
}

// stateFixture is a publisher without sockets, in simulated time.
type stateFixture struct {
	*Publisher
	tracker *recordedTracker
	resume  string
	end     func()
}

// newStateFixture starts a publisher with the catalog c and restores the releases in it.
func newStateFixture(t *testing.T, c publish.Catalog, resume string) *stateFixture {
	t.Helper()
	addr := netip.MustParseAddr("10.0.0.1")
	network := simnet.New(simnet.Options{Seed: 1})
	session, err := torrent.NewSession(torrent.Options{Bind: addr, Network: network.Host(addr, simnet.Link{}), PeerPort: 6881, ResumeDir: resume})
	if err != nil {
		t.Fatal(err)
	}
	f := &stateFixture{Publisher: &Publisher{env: testEnv(), session: &Session{Session: session}}, tracker: &recordedTracker{served: map[spate.InfoHash]bool{}}, resume: resume}
	f.publisher, err = publish.New(publish.MakerFunc(maker.Make), seeder{session, resume, nil}, publish.Options{Tracker: f.tracker, Catalog: c})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.publisher.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { session.Run(ctx) })
	wg.Go(func() { f.followStates(ctx) })
	f.end = func() { stop(); wg.Wait() }
	return f
}

// download returns the error of reading the first file of the release as the site does.
func (f *stateFixture) download(t *testing.T, ref string) error {
	t.Helper()
	r, err := f.Catalog().Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	content, err := f.openFile(t.Context(), r, 0)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(io.Discard, content)
	return err
}

// stateChanges are changes of the file at path, which has a name in a directory of its own. undo
// makes the data good again; nil means that the data stays good.
var stateChanges = []struct {
	name     string
	do, undo func(path string) error
	problem  string
}{
	{"removed and moved back", func(p string) error { return os.Rename(p, p+".away") }, func(p string) error { return os.Rename(p+".away", p) }, "missing"},
	{"removed and copied back", func(p string) error { return errors.Join(copyKept(p, p+".copy"), os.Remove(p)) },
		func(p string) error { return os.Rename(p+".copy", p) }, "missing"},
	{"removed and written again", func(p string) error { return errors.Join(copyFile(p, p+".copy"), os.Remove(p)) },
		func(p string) error { return os.Rename(p+".copy", p) }, "missing"},
	{"changed in place", func(p string) error { return errors.Join(copyFile(p, p+".copy"), overwrite(p, "X")) },
		func(p string) error { return copyFile(p+".copy", p) }, "changed"},
	{"truncated", func(p string) error { return errors.Join(copyFile(p, p+".copy"), os.Truncate(p, 10)) },
		func(p string) error { return copyFile(p+".copy", p) }, "changed"},
	{"emptied", func(p string) error { return errors.Join(copyFile(p, p+".copy"), os.Truncate(p, 0)) },
		func(p string) error { return copyFile(p+".copy", p) }, "changed"},
	{"replaced by other data", func(p string) error {
		return errors.Join(os.Rename(p, p+".away"), os.WriteFile(p, []byte(strings.Repeat("y", 100_000)), 0o666))
	}, func(p string) error { return os.Rename(p+".away", p) }, "changed"},
	{"replaced by a copy with the same time", func(p string) error { return errors.Join(copyKept(p, p+".copy"), os.Rename(p+".copy", p)) }, nil, ""},
	{"replaced by a directory", func(p string) error { return errors.Join(os.Rename(p, p+".away"), os.Mkdir(p, 0o777)) },
		func(p string) error { return errors.Join(os.Remove(p), os.Rename(p+".away", p)) }, ""},
	{"replaced by a link that leads out", func(p string) error {
		return errors.Join(os.Rename(p, filepath.Dir(p)+".away"), os.Symlink(filepath.Dir(p)+".away", p))
	}, func(p string) error { return errors.Join(os.Remove(p), os.Rename(filepath.Dir(p)+".away", p)) }, ""},
	{"replaced by a broken link", func(p string) error { return errors.Join(os.Rename(p, p+".away"), os.Symlink("nothing", p)) },
		func(p string) error { return errors.Join(os.Remove(p), os.Rename(p+".away", p)) }, "missing"},
}

// TestStateFollowsFiles checks that a release whose file changes is failed for the API, the site
// and the tracker, and that it is seeded and sent again once the data is good again.
func TestStateFollowsFiles(t *testing.T) {
	for _, tree := range []bool{false, true} {
		for _, restart := range []bool{false, true} {
			for _, c := range stateChanges {
				name := c.name
				if tree {
					name += ", in a tree"
				}
				if restart {
					name += ", while the daemon does not run"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { checkStates(t, tree, restart, c.do, c.undo, c.problem) })
				})
			}
		}
	}
}

func checkStates(t *testing.T, tree, restart bool, do, undo func(string) error, problem string) {
	dir := filepath.Join(t.TempDir(), "in")
	file := filepath.Join(dir, "data")
	path := file
	if tree {
		file, path = filepath.Join(dir, "sub", "data"), dir
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, []byte(strings.Repeat("x", 100_000)), 0o666)); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	catalog, resume := publish.NewMemory(), t.TempDir()
	f := newStateFixture(t, catalog, resume)
	r, err := f.publisher.Publish(t.Context(), path, publish.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	state := func() publish.State {
		got, err := catalog.Get(t.Context(), r.Ref())
		if err != nil {
			t.Fatal(err)
		}
		return f.ReleaseState(t.Context(), got)
	}
	seeded := func(when string) {
		t.Helper()
		if s := state(); s.Name != publish.StateSeeding || s.Err != nil || s.Progress != 1 {
			t.Errorf("%s the state is %+v, want seeding", when, s)
		}
		if !f.tracker.all(true) {
			t.Errorf("%s the tracker does not count this machine as a seed: %v", when, f.tracker.served)
		}
		if err := f.download(t, r.Ref()); err != nil {
			t.Errorf("%s a download fails: %v", when, err)
		}
	}
	time.Sleep(3 * time.Second)
	seeded("after publishing")
	if restart {
		f.end()
	}
	if err := do(file); err != nil {
		t.Skip(err)
	}
	if restart {
		f = newStateFixture(t, catalog, resume)
	}
	defer func() { f.end() }()
	if undo == nil {
		f.download(t, r.Ref()) // the engine checks the file
		time.Sleep(3 * time.Second)
		seeded("with good data")
		return
	}
	if err := f.download(t, r.Ref()); !errors.Is(err, publish.ErrChanged) && !errors.Is(err, publish.ErrGone) {
		t.Errorf("a download of changed data returned %v", err)
	}
	time.Sleep(3 * time.Second)
	if s := state(); s.Name != publish.StateFailed || !strings.Contains(s.Problem(), problem) || strings.Contains(s.Problem(), "/") || s.Progress >= 1 {
		t.Errorf("with changed data the state is %+v (%q), want failed with %q", s, s.Problem(), problem)
	}
	if !f.tracker.all(false) {
		t.Errorf("with changed data the tracker counts this machine as a seed: %v", f.tracker.served)
	}
	if err := undo(file); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
	seeded("after the data came back")
}

// TestStateOfPausedRelease checks that the state of a paused release says how much of its data
// is good, also after a restart.
func TestStateOfPausedRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "in")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(name, 100_000)), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		catalog, resume := publish.NewMemory(), t.TempDir()
		f := newStateFixture(t, catalog, resume)
		defer func() { f.end() }()
		r, err := f.publisher.Publish(t.Context(), dir, publish.Spec{})
		if err == nil {
			err = f.publisher.Pause(t.Context(), r.Ref())
		}
		if err != nil {
			t.Fatal(err)
		}
		check := func(when string, want float64, problem string) {
			t.Helper()
			r, err := catalog.Get(t.Context(), r.Ref())
			if err != nil {
				t.Fatal(err)
			}
			if s := f.ReleaseState(t.Context(), r); s.Name != publish.StatePaused || s.Progress != want || s.Problem() != problem {
				t.Errorf("%s the state is %+v (%q), want paused, %v, %q", when, s, s.Problem(), want, problem)
			}
			if !f.tracker.all(false) {
				t.Errorf("%s the tracker counts this machine as a seed", when)
			}
		}
		check("after the pause", 1, "")
		f.end()
		f = newStateFixture(t, catalog, resume)
		time.Sleep(3 * time.Second)
		check("after a restart", 1, "")
		if err := os.Remove(filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(goodFor)
		check("without a file", 0.5, "its data is missing")
	})
}

// TestStateOfUnseededRelease checks that a release whose torrent the engine refuses is failed.
func TestStateOfUnseededRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "in", "a")
		if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o777), os.WriteFile(file, []byte("data"), 0o666)); err != nil {
			t.Fatal(err)
		}
		catalog := publish.NewMemory()
		f := newStateFixture(t, catalog, t.TempDir())
		r, err := f.publisher.Publish(t.Context(), file, publish.Spec{})
		f.end()
		if err == nil {
			err = errors.Join(os.RemoveAll(filepath.Dir(file)), os.WriteFile(filepath.Dir(file), nil, 0o666))
		}
		if err != nil {
			t.Fatal(err)
		}
		f = newStateFixture(t, catalog, t.TempDir())
		defer f.end()
		time.Sleep(3 * time.Second)
		if s := f.ReleaseState(t.Context(), r); s.Name != publish.StateFailed || s.Err == nil {
			t.Errorf("the state is %+v, want failed with an error", s)
		}
		if f.publisher.NotSeeded(r.Hash()) == nil {
			t.Error("the publisher does not know that it does not seed the release")
		}
		if f.tracker.all(true) {
			t.Error("the tracker counts this machine as a seed")
		}
	})
}

// copyFile copies a file to a new inode with the present time, or overwrites a file.
func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o666)
}

// copyKept is like copyFile, and keeps the modification time.
func copyKept(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	return errors.Join(copyFile(from, to), os.Chtimes(to, info.ModTime(), info.ModTime()))
}

// overwrite writes the beginning of a file.
func overwrite(path, data string) error {
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = w.WriteString(data)
	return errors.Join(err, w.Close())
}
