package publish

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spate"
	"spate/maker"
	"spate/metainfo"
)

// fixture is a publisher whose maker, tracker, seeder and catalog record the steps.
type fixture struct {
	t    *testing.T
	dir  string
	mu   sync.Mutex
	did  []string
	fail map[string]error // by step
	make func(path string)
	http bool // the piece length of the last torrent was chosen for HTTP
	*Memory
}

func newFixture(t *testing.T) *fixture {
	return &fixture{t: t, dir: t.TempDir(), fail: map[string]error{}, make: func(string) {}, Memory: NewMemory()}
}

func (w *fixture) do(step string, args ...any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fail[step]; err != nil {
		return err
	}
	w.did = append(w.did, strings.TrimSpace(step+" "+fmt.Sprintln(args...)))
	return nil
}

// Make returns a torrent of the data at path without hashing it.
func (w *fixture) Make(ctx context.Context, path string, o maker.Options) (*metainfo.MetaInfo, error) {
	if err := w.do("make", o.Name); err != nil {
		return nil, err
	}
	info := metainfo.Info{Name: o.Name, PieceLength: 1 << 14}
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		file := metainfo.File{Length: fi.Size()}
		if p != path {
			rel, _ := filepath.Rel(path, p)
			file.Path = strings.Split(filepath.ToSlash(rel), "/")
		}
		info.Files = append(info.Files, file)
		return err
	})
	if err != nil {
		return nil, err
	}
	total := int64(0)
	for _, f := range info.Files {
		total += f.Length
	}
	info.Pieces = make([]byte, sha1.Size*((total+1<<14-1)>>14))
	w.make(path)
	w.http = o.ForHTTP
	m, err := metainfo.New(info, nil)
	if err != nil {
		return nil, err
	}
	m.AnnounceList, m.WebSeeds = o.Announce, o.WebSeeds
	return m, nil
}

func (w *fixture) Allow(ih spate.InfoHash, n Note) error        { return w.do("allow", n.Name, n.Size) }
func (w *fixture) Disallow(ih spate.InfoHash) error             { return w.do("disallow") }
func (w *fixture) Unseed(context.Context, spate.InfoHash) error { return w.do("unseed") }

func (w *fixture) Seed(_ context.Context, m *metainfo.MetaInfo, path string, _ bool) error {
	return w.do("seed", m.Info.Name, path)
}

func (w *fixture) Put(ctx context.Context, r *Release, t Torrents) error {
	if err := w.do("list", r.Name); err != nil {
		return err
	}
	return w.Memory.Put(ctx, r, t)
}

func (w *fixture) Delete(ctx context.Context, name string) error {
	if err := w.do("unlist", name); err != nil {
		return err
	}
	return w.Memory.Delete(ctx, name)
}

func (w *fixture) publisher() *Publisher {
	w.t.Helper()
	base, _ := url.Parse("http://example.org:6969")
	p, err := New(w, w, Options{Tracker: w, Catalog: w, BaseURL: base,
		Trackers: [][]string{{"http://example.org:6969/announce"}},
		Now:      func() time.Time { return time.Unix(1_800_000_000, 5) }})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *fixture) write(name, data string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *fixture) didThen(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(w.did, want) {
		t.Errorf("the steps are %q\nwant %q", w.did, want)
	}
	w.did = nil
}

func TestPublish(t *testing.T) {
	w := newFixture(t)
	path := w.write("a.iso", "hello")
	p := w.publisher()
	r, err := p.Publish(t.Context(), path, Spec{})
	if err != nil {
		t.Fatal(err)
	}
	w.didThen(t, "make a.iso", "allow a.iso 5", "seed a.iso "+path, "list a.iso")
	if r.Name != "a.iso" || !r.Single || r.Size != 5 || r.NumFiles != 1 || !r.Published.Equal(time.Unix(1_800_000_000, 0)) ||
		len(r.WebSeeds) > 0 ||
		!reflect.DeepEqual(r.Announce, [][]string{{"http://example.org:6969/announce"}}) {
		t.Errorf("the release is %+v, want one file with the default tracker and without a web seed", r)
	}
	for _, part := range []string{"xt=urn:btih:" + r.HashV1.String(), "tr=http"} {
		if !strings.Contains(r.Magnet, part) {
			t.Errorf("the magnet link %s does not contain %s", r.Magnet, part)
		}
	}
	torrents, err := w.Torrents(t.Context(), "a.iso")
	if err != nil {
		t.Fatal(err)
	}
	m, err := metainfo.Parse(torrents.Main)
	if err != nil || m.Hash() != r.Hash() || len(m.WebSeeds) > 0 {
		t.Errorf("the torrent in the catalog has another info-hash or other web seeds: %v %v", m, err)
	}

	if _, err := p.Publish(t.Context(), path, Spec{}); !errors.Is(err, ErrExists) {
		t.Errorf("the second Publish returned %v, want ErrExists", err)
	}
	w.didThen(t)

	if err := p.Withdraw(t.Context(), "a.iso"); err != nil {
		t.Fatal(err)
	}
	w.didThen(t, "unlist a.iso~1", "unseed", "disallow")
	if err := p.Withdraw(t.Context(), "a.iso"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the second Withdraw returned %v, want ErrNotFound", err)
	}
}

// TestWebSeedsOfReleases checks which web seeds a torrent names, and that the piece length does
// not depend on them.
func TestWebSeedsOfReleases(t *testing.T) {
	const own, other = "http://example.org:6969/d/a.iso~1", "http://mirror.example/a.iso"
	for _, c := range []struct {
		given   []string
		shutOut bool
		want    []string
	}{
		{nil, false, nil},
		{[]string{other}, false, []string{other}},
		{[]string{SelfWebSeed}, false, []string{own}},
		{[]string{other, SelfWebSeed, SelfWebSeed}, false, []string{other, own}},
		{[]string{own}, false, []string{own}},
		{nil, true, []string{own}},
		{[]string{other}, true, []string{own, other}},
		{[]string{other, SelfWebSeed}, true, []string{other, own}},
	} {
		w := newFixture(t)
		p := w.publisher()
		p.opts.NeedsWebSeed = func(context.Context) bool { return c.shutOut }
		given := slices.Clone(c.given)
		r, err := p.Publish(t.Context(), w.write("a.iso", "hello"), Spec{Options: maker.Options{WebSeeds: c.given}})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.WebSeeds, c.want) {
			t.Errorf("with %q, peers shut out: %v: the web seeds are %q, want %q", c.given, c.shutOut, r.WebSeeds, c.want)
		}
		if !slices.Equal(c.given, given) {
			t.Errorf("Publish changed the list of the caller to %q", c.given)
		}
		if !w.http {
			t.Errorf("with %q: the piece length is not chosen for data that is also sent over HTTP", c.given)
		}
	}
}

func TestPublishTree(t *testing.T) {
	w := newFixture(t)
	w.write("tree/sub/b", "22")
	w.write("tree/a", "1")
	if err := os.Symlink(filepath.Join(w.dir, "tree"), filepath.Join(w.dir, "latest")); err != nil {
		t.Fatal(err)
	}
	r, err := w.publisher().Publish(t.Context(), filepath.Join(w.dir, "latest"), Spec{Options: maker.Options{WebSeeds: []string{SelfWebSeed, "http://mirror.example/"}}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "latest" || r.Single || r.Path != filepath.Join(w.dir, "tree") || r.NumFiles != 2 || r.Size != 3 ||
		!slices.Equal(r.WebSeeds, []string{"http://example.org:6969/w/latest~1/", "http://mirror.example/"}) {
		t.Errorf("the release is %+v, want the tree called latest with two web seeds", r)
	}
	for path, want := range map[string]string{"a": "1", "sub/b": "22"} {
		i, ok := r.Lookup(path)
		if !ok {
			t.Fatalf("Lookup does not find %s", path)
		}
		f, err := r.Open(i)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 9)
		n, _ := f.Read(got)
		f.Close()
		if string(got[:n]) != want {
			t.Errorf("%s contains %q, want %q", path, got[:n], want)
		}
	}
	for _, path := range []string{"", "sub", "/a", "../a", "sub/../a", "c"} {
		if _, ok := r.Lookup(path); ok {
			t.Errorf("Lookup finds the path %q, which does not exist", path)
		}
	}
	if _, err := r.Open(2); !errors.Is(err, ErrNoFile) {
		t.Errorf("Open(2) returned %v, want ErrNoFile", err)
	}
}

// TestFailedPublishIsUndone checks that a failed step undoes the previous steps in reverse
// order, and that the name is free again.
func TestFailedPublishIsUndone(t *testing.T) {
	cause := errors.New("no")
	for step, want := range map[string][]string{
		"make":  nil,
		"allow": {"make a"},
		"seed":  {"make a", "allow a 1", "disallow"},
		"list":  {"make a", "allow a 1", "seed a PATH", "unseed", "disallow"},
	} {
		t.Run(step, func(t *testing.T) {
			w := newFixture(t)
			path := w.write("a", "1")
			p := w.publisher()
			w.fail[step] = cause
			_, err := p.Publish(t.Context(), path, Spec{})
			var failed *StepError
			if !errors.As(err, &failed) || failed.Step != step || failed.Name != "a" || !errors.Is(err, cause) {
				t.Errorf("Publish returned %v, want a StepError for %s with its cause", err, step)
			}
			for i := range want {
				want[i] = strings.Replace(want[i], "PATH", path, 1)
			}
			w.didThen(t, want...)
			if _, n, _ := w.List(t.Context(), Query{}); n != 0 {
				t.Error("the catalog lists a release that could not be published")
			}
			delete(w.fail, step)
			if _, err := p.Publish(t.Context(), path, Spec{}); err != nil {
				t.Errorf("Publish after the failure returned %v", err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		w := newFixture(t)
		path := w.write("a", "1")
		ctx, cancel := context.WithCancel(t.Context())
		w.make = func(string) { cancel() }
		_, err := w.publisher().Publish(ctx, path, Spec{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Publish returned %v, want context.Canceled", err)
		}
		w.didThen(t, "make a", "allow a 1", "seed a "+path, "unseed", "disallow")
	})
	t.Run("undoing fails too", func(t *testing.T) {
		w := newFixture(t)
		path := w.write("a", "1")
		second := errors.New("stuck")
		w.fail["list"], w.fail["unseed"] = cause, second
		_, err := w.publisher().Publish(t.Context(), path, Spec{})
		if !errors.Is(err, cause) || !errors.Is(err, second) {
			t.Errorf("Publish returned %v, want both causes", err)
		}
		w.didThen(t, "make a", "allow a 1", "seed a "+path, "disallow")
	})
}

// TestChangedWhileMade checks that data is not published if it changes while it is hashed.
func TestChangedWhileMade(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"longer":   func(p string) error { return os.Truncate(p, 10) },
		"touched":  func(p string) error { return os.Chtimes(p, time.Time{}, time.Now().Add(time.Hour)) },
		"replaced": func(p string) error { os.Rename(p, p+"~"); return os.WriteFile(p, []byte("2"), 0o644) },
		"removed":  os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			path := w.write("a", "1")
			w.make = func(p string) {
				if err := change(p); err != nil {
					t.Errorf("changing the file: %v", err)
				}
			}
			_, err := w.publisher().Publish(t.Context(), path, Spec{})
			if !errors.Is(err, ErrChanged) && !errors.Is(err, ErrGone) {
				t.Errorf("Publish returned %v, want ErrChanged or ErrGone", err)
			}
			w.didThen(t, "make a")
		})
	}
}

func TestOneReleaseOfASlugAtATime(t *testing.T) {
	w := newFixture(t)
	path := w.write("a", "1")
	other := w.write("b/a", "2")
	p := w.publisher()
	w.make = func(string) {
		if _, err := p.Publish(t.Context(), other, Spec{}); !errors.Is(err, ErrExists) {
			t.Errorf("Publish of the same slug during the first call returned %v, want ErrExists", err)
		}
		if err := p.Withdraw(t.Context(), "a"); !errors.Is(err, ErrExists) {
			t.Errorf("Withdraw during Publish returned %v, want ErrExists", err)
		}
	}
	if _, err := p.Publish(t.Context(), path, Spec{}); err != nil {
		t.Fatal(err)
	}
}

func TestBadInput(t *testing.T) {
	w := newFixture(t)
	p := w.publisher()
	if _, err := p.Publish(t.Context(), filepath.Join(w.dir, "none"), Spec{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Publish of a missing file returned %v, want fs.ErrNotExist", err)
	}
	for _, base := range []string{"", "/only/path", "ftp://example.org", "http://"} {
		u, _ := url.Parse(base)
		if _, err := New(w, w, Options{BaseURL: u}); err == nil {
			t.Errorf("New accepted the base URL %q", base)
		}
	}
	if _, err := New(nil, w, Options{}); err == nil {
		t.Error("New accepted a nil maker")
	}
}

func TestURLs(t *testing.T) {
	base, _ := url.Parse("https://u:p@example.org/pub/?x#y")
	for got, want := range map[string]string{
		PagePath("a b/c"):                    "/r/a%20b%2Fc",
		TorrentPath("50%"):                   "/t/50%25.torrent",
		DownloadPath("t", "a b", "c#d"):      "/d/t/a%20b/c%23d",
		Absolute(base, PagePath("x")):        "https://example.org/pub/r/x",
		WebSeedURL(base, "x", true):          "https://example.org/pub/d/x",
		WebSeedURL(base, "x~1", false):       "https://example.org/pub/w/x~1/",
		"none" + WebSeedURL(nil, "x", false): "none",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
