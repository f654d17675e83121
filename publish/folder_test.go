package publish

import (
	"context"
	"errors"
	"fmt"
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
	"spate/maker"
	"spate/metainfo"
)

// house is a publisher that hashes, with a tracker and a seed that only remember.
type house struct {
	t        *testing.T
	in       string
	catalog  Catalog
	pub      *Publisher
	folder   *Folder
	allowed  map[spate.InfoHash]bool
	seeded   map[spate.InfoHash]string // path
	hashed   int
	follow   bool
	toMake   func()
	whenMade func(path string)
}

func newHouse(t *testing.T, older int) *house {
	t.Helper()
	h := &house{t: t, in: filepath.Join(t.TempDir(), "in"), catalog: NewMemory()}
	if err := os.Mkdir(h.in, 0o755); err != nil {
		t.Fatal(err)
	}
	h.start(older)
	return h
}

// start is a start of the program: what was in memory is gone.
func (h *house) start(older int) {
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
	if h.folder, err = NewFolder(h.in, h.pub, &sync.Mutex{}, FolderOptions{Older: older, FollowLinks: h.follow}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) Make(ctx context.Context, path string, o maker.Options) (*metainfo.MetaInfo, error) {
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

func (h *house) Allow(ih spate.InfoHash, _ Note) error { h.allowed[ih] = true; return nil }
func (h *house) Disallow(ih spate.InfoHash) error      { delete(h.allowed, ih); return nil }

func (h *house) Seed(_ context.Context, m *metainfo.MetaInfo, path string, verified bool) error {
	if h.seeded[m.Hash()] != "" {
		return fmt.Errorf("seeded twice: %s", path)
	}
	if !verified {
		path = "to be checked: " + path
	}
	h.seeded[m.Hash()] = path
	return nil
}

func (h *house) Unseed(_ context.Context, ih spate.InfoHash) error {
	if h.seeded[ih] == "" {
		return fmt.Errorf("not seeded: %s", ih)
	}
	delete(h.seeded, ih)
	return nil
}

// write puts something into the folder, in parts, that is settled.
func (h *house) write(name, data string) {
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

// look has the folder seen and everything done about it.
func (h *house) look() {
	h.t.Helper()
	s := h.folder.watcher.Scan(time.Now().Add(time.Hour))
	h.folder.setScan(s)
	for n := 0; h.folder.step(h.t.Context()); n++ {
		if n > 1000 {
			h.t.Fatal("it never ends")
		}
	}
}

// agree checks that catalog, tracker and seed agree with each other, and are the
// data of want: by reference, what the release holds.
func (h *house) agree(want map[string]string) {
	h.t.Helper()
	got := map[string]string{}
	allowed, seeded := map[spate.InfoHash]bool{}, map[spate.InfoHash]string{}
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
		var all []string
		for i := range r.Files {
			f, err := r.Open(i)
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
		h.t.Errorf("the tracker allows %v\nlisted are %v", h.allowed, allowed)
	}
	if fmt.Sprint(seeded) != fmt.Sprint(h.seeded) {
		h.t.Errorf("seeded: %v\nlisted: %v", h.seeded, seeded)
	}
}

func TestFolder(t *testing.T) {
	h := newHouse(t, 1)
	h.write("a.iso", "one")
	h.write("tree/x", "1")
	h.write("tree/sub/y", "2")
	h.write("a.iso.md", "# Notes")
	h.look()
	h.agree(map[string]string{"a.iso~1": "one", "tree~1": "sub/y=2 x=1"})
	if r, _ := h.catalog.Get(t.Context(), "a.iso"); r.Notes != "# Notes" || r.Watched != filepath.Join(h.in, "a.iso") {
		t.Errorf("%+v", r)
	}

	// A replaced file is a new version; the one before is still to be had.
	h.write("a.iso", "two")
	h.write("tree/x", "11")
	h.look()
	h.agree(map[string]string{"a.iso~1": "one", "a.iso~2": "two", "tree~1": "sub/y=2 x=1", "tree~2": "sub/y=2 x=11"})
	h.write("a.iso", "three")
	h.write("a.iso.md", "other notes")
	h.look()
	h.agree(map[string]string{"a.iso~2": "two", "a.iso~3": "three", "tree~1": "sub/y=2 x=1", "tree~2": "sub/y=2 x=11"})
	if r, _ := h.catalog.Get(t.Context(), "a.iso"); r.Notes != "other notes" {
		t.Errorf("notes: %q", r.Notes)
	}
	h.write("a.iso.md", "notes only")
	hashed := h.hashed
	h.look()
	if r, _ := h.catalog.Get(t.Context(), "a.iso"); r.Notes != "notes only" || h.hashed != hashed {
		t.Errorf("notes: %q, hashed %d", r.Notes, h.hashed-hashed)
	}

	// What is written in place takes the older version with it, where that is a
	// link; where it is a clone, it stays.
	old, _ := h.catalog.Get(t.Context(), "tree")
	if err := os.WriteFile(filepath.Join(h.in, "tree", "x"), []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.look()
	want := map[string]string{"a.iso~2": "two", "a.iso~3": "three", "tree~1": "sub/y=2 x=1", "tree~3": "sub/y=2 x=12345"}
	if old.Intact() == nil {
		delete(want, "tree~1")
		want["tree~2"] = "sub/y=2 x=11"
	}
	h.agree(want)
	hashed = h.hashed

	// A restart hashes nothing.
	h.start(1)
	if restored, err := h.pub.Restore(t.Context()); err != nil || len(restored.Problems) > 0 {
		t.Fatal(restored, err)
	}
	h.look()
	h.agree(want)
	if h.hashed != hashed {
		t.Errorf("%d were hashed again", h.hashed-hashed)
	}

	// What is only touched is what it was.
	later := time.Now().Add(-time.Minute)
	os.Chtimes(filepath.Join(h.in, "a.iso"), later, later)
	h.look()
	if r, _ := h.catalog.Get(t.Context(), "a.iso"); r.Version != "3" {
		t.Errorf("touched: %s", r.Ref())
	}

	// What is removed is withdrawn with its older versions, and so is what is kept.
	os.Remove(filepath.Join(h.in, "a.iso"))
	os.Remove(filepath.Join(h.in, "a.iso.md"))
	os.RemoveAll(filepath.Join(h.in, "tree"))
	h.look()
	h.agree(map[string]string{})
	if kept, _ := filepath.Glob(filepath.Join(filepath.Dir(h.in), "kept", "*")); len(kept) > 0 {
		t.Errorf("still kept: %q", kept)
	}
}

// TestFolderWithoutOlder: without older versions nothing is linked, and what is
// replaced is withdrawn.
func TestFolderWithoutOlder(t *testing.T) {
	h := newHouse(t, 0)
	h.write("a", "one")
	h.look()
	if r, _ := h.catalog.Get(t.Context(), "a"); r.Path != filepath.Join(h.in, "a") {
		t.Errorf("served from %s", r.Path)
	}
	for _, data := range []string{"two", "three"} { // a number does not come twice
		h.write("a", data)
		h.look()
	}
	h.agree(map[string]string{"a~3": "three"})
	later := time.Now().Add(-time.Minute)
	os.Chtimes(filepath.Join(h.in, "a"), later, later)
	h.look()
	h.agree(map[string]string{"a~3": "three"})
}

// TestFolderTorrents: a .torrent is seeded from the data beside it.
func TestFolderTorrents(t *testing.T) {
	h := newHouse(t, 1)
	h.write("data", "of the torrent")
	m, err := maker.Make(t.Context(), filepath.Join(h.in, "data"), maker.Options{Comment: "made elsewhere", Announce: [][]string{{"http://t.example/announce"}}})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := m.Bytes()
	h.write("x.torrent", string(b))
	h.write("bad.torrent", "d4:info")
	h.look()
	h.agree(map[string]string{"data~1": "of the torrent"})
	if r, _ := h.catalog.Get(t.Context(), "data"); r.Hash() != m.Hash() || r.Comment != "made elsewhere" || h.hashed != 0 {
		t.Errorf("%+v", r)
	}
	if s := h.folder.Status(); s.Refused["bad.torrent"] == "" || len(s.Refused) != 1 || s.Entries != 1 {
		t.Errorf("%+v", s)
	}
	h.write("data", "damaged")
	h.look()
	if s := h.folder.Status(); !strings.Contains(s.Refused["x.torrent"], "not the data") {
		t.Errorf("%+v", s)
	}
	os.Remove(filepath.Join(h.in, "x.torrent"))
	h.look()
	h.agree(map[string]string{"data~1": "damaged"})
}

// TestFolderAway protects releases whose folder cannot be read, or is empty for
// nothing is mounted there.
func TestFolderAway(t *testing.T) {
	h := newHouse(t, 1)
	h.write("a", "1")
	h.look()
	want := map[string]string{"a~1": "1"}
	os.Rename(h.in, h.in+"-away")
	h.look()
	h.agree(want)
	h.start(1)
	os.Mkdir(h.in, 0o755)
	h.pub.Restore(t.Context())
	h.look()
	h.agree(want)
	h.write("b", "2")
	h.look()
	h.agree(map[string]string{"b~1": "2"})
}

// TestFolderChangesMeanwhile protects from a version that is half of one file and
// half of another.
func TestFolderChangesMeanwhile(t *testing.T) {
	h := newHouse(t, 1)
	h.write("a", "one")
	h.whenMade = func(string) {
		h.whenMade = nil
		h.write("a", "other")
	}
	h.look()
	h.agree(map[string]string{})
	h.look()
	h.agree(map[string]string{"a~1": "other"})
}

// TestFolderKilled drops, replaces and removes files at random, while the program
// is killed between any two steps; afterwards everything agrees with the folder.
func TestFolderKilled(t *testing.T) {
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		h := newHouse(t, 2)
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
		h.look()
		refused := h.folder.Status().Refused
		got := map[string]string{}
		list, _, _ := h.catalog.List(t.Context(), Query{All: true})
		for _, short := range list {
			r, _ := h.catalog.Get(t.Context(), short.Ref())
			if r.Watched == "" {
				continue
			}
			f, err := r.Open(0)
			if err != nil {
				t.Errorf("seed %d: %v", seed, err)
				continue
			}
			b := make([]byte, r.Size)
			f.Read(b)
			f.Close()
			got[filepath.Base(r.Watched)] = string(b)
		}
		for name := range refused { // the same data under two names
			if !slices.Contains(values(got), data[name]) {
				t.Errorf("seed %d: %s is refused: %s", seed, name, refused[name])
			}
			delete(data, name)
		}
		if fmt.Sprint(got) != fmt.Sprint(data) {
			t.Errorf("seed %d: published %v, the folder has %v", seed, got, data)
		}
	}
}

// TestFolderRun checks that Run watches the directory: it publishes a file that is there
// already and one that comes later, and withdraws a file that is removed.
func TestFolderRun(t *testing.T) {
	h := newHouse(t, 0)
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
			t.Fatalf("not %s", want)
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
	h := newHouse(t, 0)
	if _, err := h.pub.Publish(t.Context(), "", Spec{}); !errors.Is(err, maker.ErrNoPath) {
		t.Errorf("Publish: %v, want ErrNoPath", err)
	}
	if _, err := NewFolder("", h.pub, &sync.Mutex{}, FolderOptions{}); !errors.Is(err, maker.ErrNoPath) {
		t.Errorf("NewFolder: %v, want ErrNoPath", err)
	}
	if _, err := NewKeeper(""); err == nil {
		t.Error("NewKeeper took an empty path")
	}
}

func values(m map[string]string) (out []string) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}
