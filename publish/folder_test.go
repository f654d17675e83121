package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"spate"
	"spate/internal/filestat"
	"spate/maker"
	"spate/metainfo"
)

// folderFixture is a watched folder with a publisher that makes real torrents. Its tracker
// and its seeder only record the calls.
type folderFixture struct {
	t        *testing.T
	in       string
	catalog  Catalog
	pub      *Publisher
	folder   *Folder
	allowed  map[spate.InfoHash]bool
	seeded   map[spate.InfoHash]string // path
	hashed   int
	follow   bool
	spec     Spec
	toMake   func()
	whenMade func(path string)
}

func newFolderFixture(t *testing.T, older int) *folderFixture {
	t.Helper()
	h := &folderFixture{t: t, in: filepath.Join(t.TempDir(), "in"), catalog: NewMemory()}
	if err := os.Mkdir(h.in, 0o755); err != nil {
		t.Fatal(err)
	}
	h.start(older)
	return h
}

// start starts the publisher again, without the state in memory.
func (h *folderFixture) start(older int) {
	h.t.Helper()
	h.allowed, h.seeded = map[spate.InfoHash]bool{}, map[spate.InfoHash]string{}
	k, err := NewKeeper(filepath.Join(filepath.Dir(h.in), "kept"))
	if err != nil {
		h.t.Fatal(err)
	}
	at := time.Unix(1_800_000_000, 0)
	now := func() time.Time { at = at.Add(time.Second); return at }
	if h.pub, err = New(h, h, Options{Catalog: h.catalog, Tracker: h, Keeper: k, Now: now}); err != nil {
		h.t.Fatal(err)
	}
	if err := k.Sweep(h.t.Context(), h.catalog); err != nil {
		h.t.Fatal(err)
	}
	if h.folder, err = NewFolder(h.in, h.pub, &sync.Mutex{}, FolderOptions{Older: older, FollowLinks: h.follow, Spec: h.spec}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *folderFixture) Make(ctx context.Context, path string, o maker.Options) (*metainfo.MetaInfo, error) {
	h.hashed++
	if h.toMake != nil {
		h.toMake()
	}
	o.NoDate, o.PieceLength = true, 16<<10
	m, err := maker.Make(ctx, path, o)
	if h.whenMade != nil {
		h.whenMade(path)
	}
	return m, err
}

func (h *folderFixture) Allow(ih spate.InfoHash, _ Note) error { h.allowed[ih] = true; return nil }
func (h *folderFixture) Disallow(ih spate.InfoHash) error      { delete(h.allowed, ih); return nil }

func (h *folderFixture) Seed(_ context.Context, m *metainfo.MetaInfo, path string, verified bool) error {
	if h.seeded[m.Hash()] != "" {
		return fmt.Errorf("seeded twice: %s", path)
	}
	if !verified {
		path = "to be checked: " + path
	}
	h.seeded[m.Hash()] = path
	return nil
}

func (h *folderFixture) Unseed(_ context.Context, ih spate.InfoHash) error {
	if h.seeded[ih] == "" {
		return fmt.Errorf("not seeded: %s", ih)
	}
	delete(h.seeded, ih)
	return nil
}

// write writes a complete file into the folder.
func (h *folderFixture) write(name, data string) {
	h.t.Helper()
	path := filepath.Join(h.in, filepath.FromSlash(name))
	os.MkdirAll(filepath.Dir(path), 0o755)
	tmp := filepath.Join(filepath.Dir(h.in), "tmp")
	if err := os.WriteFile(tmp, []byte(data), 0o644); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		h.t.Fatal(err)
	}
}

// update scans the folder and makes the releases agree with it.
func (h *folderFixture) update() {
	h.t.Helper()
	s := h.folder.watcher.Scan(time.Now().Add(time.Hour))
	h.folder.setScan(s)
	for n := 0; h.folder.step(h.t.Context()); n++ {
		if n > 1000 {
			h.t.Fatal("the folder is never up to date")
		}
	}
}

// expect checks that the catalog, the tracker and the seeder have the same releases, and
// that the releases have the data in want. The keys of want are references.
func (h *folderFixture) expect(want map[string]string) {
	h.t.Helper()
	got := map[string]string{}
	allowed, seeded := map[spate.InfoHash]bool{}, map[spate.InfoHash]string{}
	seeds := maps.Clone(h.seeded)
	list, _, err := h.catalog.List(h.t.Context(), Query{All: true})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, short := range list {
		r, err := h.catalog.Get(h.t.Context(), short.Ref())
		if err != nil {
			h.t.Fatal(err)
		}
		for _, ih := range r.AllHashes() {
			allowed[ih] = true
		}
		seeded[r.Hash()] = r.Path
		if !r.Twin.Hash.IsZero() {
			seeded[r.Twin.Hash] = r.Path
		}
		if errors.Is(r.Intact(), ErrTouched) { // the seeder may have to check it
			for ih := range seeded {
				seeds[ih] = strings.TrimPrefix(seeds[ih], "to be checked: ")
			}
		}
		var all []string
		for i := range r.Files {
			f, err := r.OpenTouched(i) // the kept data of a replaced entry has lost a link
			if err != nil {
				all = append(all, err.Error())
				continue
			}
			b := make([]byte, r.Files[i].Length)
			f.Read(b)
			f.Close()
			all = append(all, strings.TrimPrefix(r.Files[i].Path+"="+string(b), "="))
		}
		sort.Strings(all)
		got[r.Ref()] = strings.Join(all, " ")
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		h.t.Errorf("listed: %q\nwant:   %q", got, want)
	}
	if fmt.Sprint(allowed) != fmt.Sprint(h.allowed) {
		h.t.Errorf("the tracker allows %v\nbut the catalog lists %v", h.allowed, allowed)
	}
	if fmt.Sprint(seeded) != fmt.Sprint(seeds) {
		h.t.Errorf("the seeder has %v\nbut the catalog lists %v", seeds, seeded)
	}
}

func TestFolder(t *testing.T) {
	h := newFolderFixture(t, 1)
	h.write("a.iso", "one")
	h.write("tree/x", "1")
	h.write("tree/sub/y", "2")
	h.write("a.iso.md", "# Notes")
	h.update()
	h.expect(map[string]string{"a.iso~1": "one", "tree~1": "sub/y=2 x=1"})
	if r, _ := h.catalog.Get(t.Context(), "a.iso"); r.Notes != "# Notes" || r.Watched != filepath.Join(h.in, "a.iso") {
		t.Errorf("the release %+v does not have the notes and the path of its entry", r)
	}

	// A replaced file becomes a new version, and the previous version stays.
	h.write("a.iso", "two")
	h.write("tree/x", "11")
	h.update()
	h.expect(map[string]string{"a.iso~1": "one", "a.iso~2": "two", "tree~1": "sub/y=2 x=1", "tree~2": "sub/y=2 x=11"})
	h.write("a.iso", "three")
	h.write("a.iso.md", "other notes")
	h.update()
	h.expect(map[string]string{"a.iso~2": "two", "a.iso~3": "three", "tree~1": "sub/y=2 x=1", "tree~2": "sub/y=2 x=11"})
	if r, _ := h.catalog.Get(t.Context(), "a.iso"); r.Notes != "other notes" {
		t.Errorf("the notes are %q, want the new notes", r.Notes)
	}
	h.write("a.iso.md", "notes only")
	hashed := h.hashed
	h.update()
	if r, _ := h.catalog.Get(t.Context(), "a.iso"); r.Notes != "notes only" || h.hashed != hashed {
		t.Errorf("the notes are %q after hashing %d entries, want the new notes and no hashing", r.Notes, h.hashed-hashed)
	}

	// After a program has written to the file, the older version is lost if its data is a
	// hard link, and stays if its data is a clone.
	old, _ := h.catalog.Get(t.Context(), "tree")
	if err := os.WriteFile(filepath.Join(h.in, "tree", "x"), []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.update()
	want := map[string]string{"a.iso~2": "two", "a.iso~3": "three", "tree~1": "sub/y=2 x=1", "tree~3": "sub/y=2 x=12345"}
	if old.Intact() == nil {
		delete(want, "tree~1")
		want["tree~2"] = "sub/y=2 x=11"
	}
	h.expect(want)
	hashed = h.hashed

	// A restart hashes nothing.
	h.start(1)
	if restored, err := h.pub.Restore(t.Context()); err != nil || len(restored.Problems) > 0 {
		t.Fatalf("Restore returned %+v, %v, want no problems", restored, err)
	}
	h.update()
	h.expect(want)
	if h.hashed != hashed {
		t.Errorf("%d releases were hashed again", h.hashed-hashed)
	}

	// A file with a new modification time and the same content stays the same version.
	later := time.Now().Add(-time.Minute)
	os.Chtimes(filepath.Join(h.in, "a.iso"), later, later)
	h.update()
	if r, _ := h.catalog.Get(t.Context(), "a.iso"); r.Version != "3" {
		t.Errorf("after touching the file the release is %s, want version 3 as before", r.Ref())
	}

	// A removed file is withdrawn with its older versions, and their kept data is removed.
	os.Remove(filepath.Join(h.in, "a.iso"))
	os.Remove(filepath.Join(h.in, "a.iso.md"))
	os.RemoveAll(filepath.Join(h.in, "tree"))
	h.update()
	h.expect(map[string]string{})
	if kept, _ := filepath.Glob(filepath.Join(filepath.Dir(h.in), "kept", "*")); len(kept) > 0 {
		t.Errorf("the data of withdrawn releases is still kept: %q", kept)
	}
}

// TestFolderWithoutOlder checks that a folder without older versions keeps no data and
// withdraws a replaced version.
func TestFolderWithoutOlder(t *testing.T) {
	h := newFolderFixture(t, 0)
	h.write("a", "one")
	h.update()
	if r, _ := h.catalog.Get(t.Context(), "a"); r.Path != filepath.Join(h.in, "a") {
		t.Errorf("the release is served from %s, want its path in the folder", r.Path)
	}
	for _, data := range []string{"two", "three"} { // a version number is not used twice
		h.write("a", data)
		h.update()
	}
	h.expect(map[string]string{"a~3": "three"})
	later := time.Now().Add(-time.Minute)
	os.Chtimes(filepath.Join(h.in, "a"), later, later)
	h.update()
	h.expect(map[string]string{"a~3": "three"})
}

// TestFolderTorrents checks that a .torrent is seeded from the data in the same folder.
func TestFolderTorrents(t *testing.T) {
	h := newFolderFixture(t, 1)
	h.write("data", "of the torrent")
	m, err := maker.Make(t.Context(), filepath.Join(h.in, "data"), maker.Options{Comment: "made elsewhere", Announce: [][]string{{"http://t.example/announce"}}})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := m.Bytes()
	h.write("x.torrent", string(b))
	h.write("bad.torrent", "d4:info")
	h.update()
	h.expect(map[string]string{"data~1": "of the torrent"})
	if r, _ := h.catalog.Get(t.Context(), "data"); r.Hash() != m.Hash() || r.Comment != "made elsewhere" || h.hashed != 0 {
		t.Errorf("the release %+v is not that of the .torrent, or its data was hashed", r)
	}
	if s := h.folder.Status(); s.Refused["bad.torrent"] == "" || len(s.Refused) != 1 || s.Entries != 1 {
		t.Errorf("the status is %+v, want only bad.torrent refused and one entry", s)
	}
	h.write("data", "damaged")
	h.update()
	if s := h.folder.Status(); !strings.Contains(s.Refused["x.torrent"], "not the data") {
		t.Errorf("the status is %+v, want x.torrent refused because of other data", s)
	}
	os.Remove(filepath.Join(h.in, "x.torrent"))
	h.update()
	h.expect(map[string]string{}) // another .torrent may be on its way
	late := h.pub.opts.Now().Add(aloneFor)
	h.pub.opts.Now = func() time.Time { return late }
	h.update()
	h.expect(map[string]string{"data~1": "damaged"})
}

// TestMissingFolderKeepsReleases checks that the releases stay if the folder cannot be
// read, or if it is empty because its disk is not mounted.
func TestMissingFolderKeepsReleases(t *testing.T) {
	h := newFolderFixture(t, 1)
	h.write("a", "1")
	h.update()
	want := map[string]string{"a~1": "1"}
	os.Rename(h.in, h.in+"-away")
	h.update()
	h.expect(want)
	h.start(1)
	os.Mkdir(h.in, 0o755)
	h.pub.Restore(t.Context())
	h.update()
	h.expect(want)
	h.write("b", "2")
	h.update()
	h.expect(map[string]string{"b~1": "2"})
}

// TestFolderChangesMeanwhile checks that a file which changes while it is hashed is not
// published with data of both versions.
func TestFolderChangesMeanwhile(t *testing.T) {
	h := newFolderFixture(t, 1)
	h.write("a", "one")
	h.whenMade = func(string) {
		h.whenMade = nil
		h.write("a", "other")
	}
	h.update()
	h.expect(map[string]string{})
	h.update()
	h.expect(map[string]string{"a~1": "other"})
}

// TestFolderChangesMeanwhileWithTheSameTime checks that a file whose data changes during or
// after hashing is not published, although its modification time was put back, and is hashed
// again later.
func TestFolderChangesMeanwhileWithTheSameTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ when, file, listed string }{
		{"during", "a", "ONE"}, {"during", "a/b", "b=ONE"}, {"after", "a", "ONE"}, {"after", "a/b", "b=ONE"},
	} {
		t.Run(c.when+", "+c.file, func(t *testing.T) {
			t.Parallel()
			h := newFolderFixture(t, 1)
			h.write(c.file, "one")
			change := func() {
				h.toMake, h.whenMade = nil, nil
				rewriteKeepingTime(t, filepath.Join(h.in, filepath.FromSlash(c.file)), "ONE")
			}
			if c.when == "during" {
				h.toMake = change
			} else {
				h.whenMade = func(string) { change() }
			}
			h.folder.setScan(h.folder.watcher.Scan(time.Now().Add(time.Hour)))
			h.folder.step(t.Context())
			h.expect(map[string]string{})
			now := h.pub.opts.Now
			h.pub.opts.Now = func() time.Time { return now().Add(retryAfter) }
			h.update()
			h.expect(map[string]string{"a~1": c.listed})
		})
	}
}

// rewriteKeepingTime writes data of the same length into a file, puts its modification time
// back, and waits until the clock of the file system shows the change.
func rewriteKeepingTime(t *testing.T, path, data string) {
	t.Helper()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if filestat.ChangeTime(before) == 0 {
		t.Skip("the system has no change time")
	}
	for now := before; filestat.ChangeTime(now) == filestat.ChangeTime(before); {
		if err := errors.Join(os.WriteFile(path, []byte(data), 0o644), os.Chtimes(path, time.Time{}, before.ModTime())); err != nil {
			t.Fatal(err)
		}
		if now, err = os.Stat(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFolderKilled adds, replaces and removes files at random, and stops the publisher between
// random steps. Afterwards the releases must agree with the folder.
func TestFolderKilled(t *testing.T) {
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		h := newFolderFixture(t, 2)
		data := map[string]string{}
		for range 12 {
			for range 1 + rnd.IntN(4) {
				name := fmt.Sprintf("f%d", rnd.IntN(8))
				if rnd.IntN(4) == 0 {
					os.Remove(filepath.Join(h.in, name))
					delete(data, name)
				} else {
					data[name] = fmt.Sprint(rnd.IntN(30))
					h.write(name, data[name])
				}
			}
			h.folder.setScan(h.folder.watcher.Scan(time.Now().Add(time.Hour)))
			for range rnd.IntN(5) {
				h.folder.step(t.Context())
			}
			if rnd.IntN(2) == 0 {
				h.start(2)
				h.pub.Restore(t.Context())
			}
		}
		h.write("last", "so that it is not empty")
		data["last"] = "so that it is not empty"
		h.update()
		refused := h.folder.Status().Refused
		got := map[string]string{}
		list, _, _ := h.catalog.List(t.Context(), Query{All: true})
		for _, short := range list {
			r, _ := h.catalog.Get(t.Context(), short.Ref())
			if r.Watched == "" {
				continue
			}
			f, err := r.OpenTouched(0)
			if err != nil {
				t.Errorf("seed %d: opening a published file: %v", seed, err)
				continue
			}
			b := make([]byte, r.Size)
			f.Read(b)
			f.Close()
			got[filepath.Base(r.Watched)] = string(b)
		}
		for name := range refused { // an entry is refused if another one has the same data
			if !slices.Contains(values(got), data[name]) {
				t.Errorf("seed %d: %s is refused although no release has its data: %s", seed, name, refused[name])
			}
			delete(data, name)
		}
		if fmt.Sprint(got) != fmt.Sprint(data) {
			t.Errorf("seed %d: published %v, the folder has %v", seed, got, data)
		}
	}
}

// TestFolderRun checks that Run publishes a file that exists already and a file that
// appears later, and withdraws a file that is removed.
func TestFolderRun(t *testing.T) {
	h := newFolderFixture(t, 0)
	told := make(chan string, 10)
	f, err := NewFolder(h.in, h.pub, &sync.Mutex{}, FolderOptions{
		Settle: time.Millisecond, Rescan: 10 * time.Millisecond, OnChange: func(what string, r *Release) { told <- what + " " + r.Ref() },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-told:
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		case <-time.After(5 * time.Minute):
			t.Fatalf("timed out while waiting for: %s", want)
		}
	}
	h.write("a", "before")
	go func() { ended <- f.Run(ctx) }()
	expect("published a~1")
	h.write("b", "later")
	expect("published b~1")
	os.Remove(filepath.Join(h.in, "a"))
	expect("withdrawn a~1")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
}

func TestEmptyPaths(t *testing.T) {
	h := newFolderFixture(t, 0)
	if _, err := h.pub.Publish(t.Context(), "", Spec{}); !errors.Is(err, maker.ErrNoPath) {
		t.Errorf("Publish: %v, want ErrNoPath", err)
	}
	if _, err := NewFolder("", h.pub, &sync.Mutex{}, FolderOptions{}); !errors.Is(err, maker.ErrNoPath) {
		t.Errorf("NewFolder: %v, want ErrNoPath", err)
	}
	if _, err := NewKeeper(""); err == nil {
		t.Error("NewKeeper accepted an empty path")
	}
}

func values(m map[string]string) (out []string) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// TestNotesAreNoRelease checks that notes do not become a release while their entry is away,
// arrives later or was just removed, and that notes without an entry do after a while.
func TestNotesAreNoRelease(t *testing.T) {
	h := newFolderFixture(t, 0)
	at := time.Unix(1_800_000_000, 0)
	h.pub.opts.Now = func() time.Time { return at }
	entry := filepath.Join(h.in, "a.bin")
	h.write("a.bin.md", "notes")
	h.update()
	h.expect(map[string]string{}) // the notes arrive first
	h.write("a.bin", "one")
	h.update()
	h.expect(map[string]string{"a.bin~1": "one"})
	os.Remove(entry)
	h.write("other", "1")
	h.update()
	h.expect(map[string]string{"other~1": "1"})
	h.write("a.bin", "two")
	h.update()
	h.expect(map[string]string{"a.bin~1": "two", "other~1": "1"})
	os.Remove(entry)
	h.update()
	h.update()
	at = at.Add(aloneFor)
	h.update()
	h.expect(map[string]string{"a.bin.md~1": "notes", "other~1": "1"})
	h.folder.alone = nil // as after a restart
	h.update()
	h.expect(map[string]string{"a.bin.md~1": "notes", "other~1": "1"})
}
