package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/publish"
	"spate/storage"
	"spate/torrent"
)

// quietObserver ignores the events of a daemon, and closes ready.
type quietObserver struct{ ready chan struct{} }

func (o quietObserver) Ready() error                        { close(o.ready); return nil }
func (o quietObserver) Show(ctx context.Context) error      { <-ctx.Done(); return nil }
func (o quietObserver) Changed(string, *publish.Release)    {}
func (o quietObserver) TorrentChanged(string, *TorrentInfo) {}

// runDaemon runs a daemon with a state directory while f runs, and returns its warnings.
func runDaemon(t *testing.T, state string, f func(*Daemon)) (warnings []string, err error) {
	t.Helper()
	env := testEnv()
	env.Warnf = func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	base, _ := url.Parse("http://127.0.0.1:1")
	d, err := New(t.Context(), env, Config{PublisherConfig: PublisherConfig{
		State: state, Listen: ListenConfig{HTTP: "127.0.0.1:0", NoUDP: true}, PublicURL: base,
		TrackerNode: TrackerNodeConfig{ActivityLog: filepath.Join(state, "activity.log")},
		Session:     SessionConfig{Options: torrent.Options{Bind: netip.MustParseAddr("127.0.0.1")}, AnyPort: true, NoLSD: true, NoUTP: true},
	}, Socket: filepath.Join(state, "s"), Answer: func(*Daemon, APIAccess) http.Handler { return http.NotFoundHandler() }})
	if err != nil {
		return warnings, err
	}
	defer d.Close()
	ctx, stop := context.WithCancel(t.Context())
	o := quietObserver{make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, o) }()
	select {
	case <-o.ready:
		f(d)
	case err := <-ended:
		stop()
		return warnings, err
	}
	stop()
	return warnings, <-ended
}

// stateTree returns the names of the files in a state directory, with * instead of hashes and
// numbers, and how many files have each name.
func stateTree(t *testing.T, state string) map[string]int {
	t.Helper()
	vary := regexp.MustCompile(`[0-9a-f]{40}|\.[0-9]+$`)
	tree := map[string]int{}
	err := filepath.WalkDir(state, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(state, path)
			tree[filepath.ToSlash(vary.ReplaceAllString(rel, "*"))]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// publishNoise publishes new data under the name of the file at path.
func publishNoise(t *testing.T, d *Daemon, path string, seed byte) *publish.Release {
	t.Helper()
	data := make([]byte, 100_000)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	if err := os.WriteFile(path+".new", data, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	var made *publish.Release
	err := d.Publish(t.Context(), PublishRequest{Paths: []string{path}, Newer: true}, func(_ string, r *publish.Release) error {
		made = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestChurnLeavesNothing checks that the state directory of a daemon that published and withdrew
// many releases has the same files as that of a fresh daemon, also after a crash left resume data.
func TestChurnLeavesNothing(t *testing.T) {
	t.Parallel()
	fresh, state, data := t.TempDir(), t.TempDir(), t.TempDir()
	one := func(d *Daemon) { publishNoise(t, d, filepath.Join(data, "last"), 200) }
	for range 2 { // the second run writes the second generation of each file
		if _, err := runDaemon(t, fresh, func(*Daemon) {}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := runDaemon(t, fresh, one); err != nil {
		t.Fatal(err)
	}
	want := stateTree(t, fresh)

	if _, err := runDaemon(t, state, func(d *Daemon) {
		for i := range byte(20) {
			name := string(rune('a' + i%4))
			r := publishNoise(t, d, filepath.Join(data, name), i)
			if i%5 == 1 {
				paused := true
				if err := d.Change(t.Context(), r.Ref(), Change{Paused: &paused}); err != nil {
					t.Fatal(err)
				}
			}
			if i%3 == 0 {
				if err := d.Withdraw(t.Context(), r.Ref()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(state, "publish", strings.Repeat("ab", 20))
	for _, suffix := range []string{".resume", ".resume.old", ".resume.tmp", ".resume.corrupt"} {
		if err := os.WriteFile(left+suffix, []byte("left by a crash"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := runDaemon(t, state, func(d *Daemon) {
		for _, name := range []string{"a", "b", "c", "d"} {
			if err := d.Withdraw(t.Context(), name); err != nil {
				t.Error(err)
			}
		}
		one(d)
	}); err != nil {
		t.Fatal(err)
	}
	got := stateTree(t, state)
	maps.DeleteFunc(got, func(name string, n int) bool { return want[name] == n })
	// The resume data of the last release and its v1 twin may be saved or not yet when a daemon
	// ends, and the release may be announced or not yet. SQLite may leave its log, which the next
	// start reads and deletes.
	for name, most := range map[string]int{"publish/*.resume": 2, "publish/announces.json": 1, "catalog/catalog.db-shm": 1, "catalog/catalog.db-wal": 1} {
		if got[name] <= most {
			delete(got, name)
		}
	}
	if len(got) > 0 {
		t.Errorf("the churn left these files: %v", got)
	}
}

// TestReleasedClaimLeavesNothing checks that a claim without resume data leaves no files, and
// that resume data is deleted once its data is gone for a long time, unless it is locked.
func TestReleasedClaimLeavesNothing(t *testing.T) {
	t.Parallel()
	state, data := t.TempDir(), t.TempDir()
	ih := spate.InfoHash{1}
	claim := func() Claim {
		t.Helper()
		c, err := testEnv().ClaimData(state, data, "file", ih, true)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	exists := func() bool {
		entries, err := os.ReadDir(state)
		return err == nil && len(entries) > 0
	}
	c := claim()
	if _, err := testEnv().ClaimData(state, data, "file", ih, true); !errors.Is(err, ErrLocked) {
		t.Errorf("the second claim returned %v, want ErrLocked", err)
	}
	c.Release()
	if exists() {
		t.Error("a claim without resume data left files")
	}

	c = claim()
	if err := storage.SaveResume(c.ResumeDir, &storage.Record{InfoHash: ih, Dir: data, Name: "file"}); err != nil {
		t.Fatal(err)
	}
	late := time.Now().Add(2 * maxGone)
	PruneClaims(state, late)
	if !exists() {
		t.Error("resume data in use was deleted")
	}
	c.Release()
	PruneClaims(state, time.Now())
	if !exists() {
		t.Error("fresh resume data was deleted")
	}
	if err := os.WriteFile(filepath.Join(data, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	PruneClaims(state, late)
	if !exists() {
		t.Error("resume data of existing data was deleted")
	}
	if err := os.Remove(filepath.Join(data, "file")); err != nil {
		t.Fatal(err)
	}
	PruneClaims(state, late)
	if exists() {
		t.Error("resume data of data that is gone for a long time was kept")
	}
}

// TestDamagedStateFiles checks that a daemon starts and serves its releases whatever one file of
// its state directory contains, and that it says what it could not use.
func TestDamagedStateFiles(t *testing.T) {
	t.Parallel()
	data, model := t.TempDir(), t.TempDir()
	for i := range 2 {
		if _, err := runDaemon(t, model, func(d *Daemon) {
			publishNoise(t, d, filepath.Join(data, string(rune('a'+i))), byte(i))
		}); err != nil {
			t.Fatal(err)
		}
	}
	var files []string
	err := filepath.WalkDir(model, func(path string, e fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(model, path); err == nil && rel != "." {
			files = append(files, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, damage := range []struct {
		name string
		do   func(path string) error
		kind bool // the entry has another type, so that it must be renamed
	}{
		{"empty", func(p string) error { return os.WriteFile(p, nil, 0o600) }, false},
		{"cut", func(p string) error {
			fi, err := os.Stat(p)
			if err != nil {
				return err
			}
			return os.Truncate(p, fi.Size()/2)
		}, false},
		{"garbage", func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("garbage\x00", 600)), 0o600) }, false},
		{"zeros", func(p string) error { return os.WriteFile(p, make([]byte, 5000), 0o600) }, false},
		{"a directory", func(p string) error { return errors.Join(os.Remove(p), os.MkdirAll(filepath.Join(p, "x"), 0o700)) }, true},
		{"a pipe", func(p string) error { return errors.Join(os.RemoveAll(p), mkfifo(p)) }, true},
		{"a dangling link", func(p string) error { return errors.Join(os.RemoveAll(p), os.Symlink("nowhere/at/all", p)) }, true},
		{"a file", func(p string) error { return errors.Join(os.RemoveAll(p), os.WriteFile(p, []byte("file"), 0o600)) }, true},
		{"missing", os.RemoveAll, false},
	} {
		for _, file := range files {
			t.Run(damage.name+" "+file, func(t *testing.T) {
				t.Parallel()
				info, err := os.Stat(filepath.Join(model, file))
				if err != nil {
					t.Fatal(err)
				}
				if info.IsDir() == slices.Contains([]string{"empty", "cut", "garbage", "zeros", "a directory"}, damage.name) || !info.IsDir() && damage.name == "a file" {
					t.Skip("it is no damage of this entry")
				}
				lost := info.IsDir() && strings.HasPrefix(file, "catalog") && file != filepath.Join("catalog", "releases") // the releases are in no other place
				state := t.TempDir()
				copyTree(t, model, state)
				if err := damage.do(filepath.Join(state, file)); errors.Is(err, errors.ErrUnsupported) {
					t.Skip(err)
				} else if err != nil {
					t.Fatal(err)
				}
				for run := range 2 {
					warnings, err := runDaemon(t, state, func(d *Daemon) {
						for _, ref := range []string{"a", "b"} {
							if _, err := d.Catalog().Get(t.Context(), ref+"~1"); err != nil && !lost {
								t.Errorf("run %d: release %s: %v", run, ref, err)
							}
						}
					})
					if err != nil {
						t.Fatalf("run %d: the daemon does not run: %v", run, err)
					}
					if run == 1 && len(warnings) > 0 {
						t.Errorf("the second run warns again: %v", warnings)
					}
					if _, err := os.Lstat(filepath.Join(state, file) + ".damaged"); run == 0 && damage.kind && (err != nil || len(warnings) == 0) {
						t.Errorf("the first run warns %q, and %v, want the entry moved away", warnings, err)
					}
				}
			})
		}
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
