// Package publishtest tests that a [publish.Catalog] fulfils its contract.
package publishtest

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"spate/publish"
)

// day0 is the time of publication of the first release in a test.
var day0 = time.Date(2026, time.November, 4, 23, 59, 59, 0, time.UTC)

// Release returns a release with two files. Its hashes are derived from its reference.
func Release(slug, version, variant string, at time.Time) *publish.Release {
	id := slug + "\x00" + version + "\x00" + variant
	r := &publish.Release{
		Slug: slug, Version: version, Variant: variant, Name: "name of " + slug,
		HashV1: sha1.Sum([]byte(id)), HashV2: sha256.Sum256([]byte(id)), Format: "hybrid", Published: at,
		Size: 30, PieceLength: 1 << 14, Pieces: 2, Comment: "<b>&\x1b[31m", Private: true, HasV2Hashes: true,
		Announce: [][]string{{"http://a.example/announce", "udp://b.example"}, {"wss://c.example"}}, WebSeeds: []string{"http://w.example/"},
		Magnet: "magnet:?xt=urn:btih:00", Base: "http://a.example", NumFiles: 2, Skipped: 3, Path: "/srv/" + slug, Watched: "/in/" + slug, Stamp: "s", Notes: "# Notes\n\n*" + id + "*", Group: "group of " + variant,
		Files: []publish.File{
			{Path: "sub/b", Length: 20, ModTime: at.Add(123456789), Inode: 1<<63 + 7, Change: -9, PiecesRoot: sha256.Sum256([]byte("b"))},
			{Path: "a", Length: 10, ModTime: at.Add(-1)},
		},
		Twin: publish.Twin{Hash: sha1.Sum([]byte("twin of " + id)), Magnet: "magnet:?xt=urn:btih:01"},
	}
	r.Reindex()
	return r
}

func torrents(r *publish.Release) publish.Torrents {
	return publish.Torrents{Main: []byte("d4:main" + r.Ref() + "e"), Twin: []byte("d4:twin" + r.Ref() + "e"), V2Hashes: []byte("v2 hashes of " + r.Ref())}
}

// TestCatalog runs all tests. open returns a new, empty catalog.
func TestCatalog(t *testing.T, open func(t *testing.T) publish.Catalog) {
	for name, test := range map[string]func(*testing.T, publish.Catalog){
		"keeps everything": testKeeps, "refuses": testRefuses, "resolves": testResolves,
		"lists": testLists, "changes": testChanges, "counts": testCounts, "all at once": testEach, "revisions": testRevision, "hostile": testHostile, "many at once": testConcurrent, "addresses": testAddresses,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func put(t *testing.T, c publish.Catalog, r *publish.Release) *publish.Release {
	t.Helper()
	if err := c.Put(t.Context(), r, torrents(r)); err != nil {
		t.Fatal(err)
	}
	return r
}

func testKeeps(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	r := Release("a", "1.0", "amd64", day0)
	tor := torrents(r)
	put(t, c, r)
	r.Announce[0][0], r.Notes = "x", "changed by the caller"
	r = Release("a", "1.0", "amd64", day0)
	want := r.Filled(tor)
	got, err := c.Get(ctx, r.Ref())
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	if i, ok := got.Lookup("a"); !ok || i != 1 {
		t.Errorf("Lookup returned %d, %v, want 1 and true", i, ok)
	}
	if kept, err := c.Torrents(ctx, r.Ref()); err != nil || !reflect.DeepEqual(kept, tor) {
		t.Errorf("Torrents returned %q, %v, want the torrents of Put", kept, err)
	}
	for _, ih := range r.AllHashes() {
		if f, err := c.Find(ctx, ih); err != nil || f.Ref() != r.Ref() || f.Files != nil || f.Notes != "" {
			t.Errorf("Find(%s) returned %+v, %v, want the release without files and notes", ih, f, err)
		}
	}
	if err := c.Delete(ctx, r.Ref()); err != nil {
		t.Fatal(err)
	}
	for _, err := range gone(ctx, c, r) {
		if !errors.Is(err, publish.ErrNotFound) {
			t.Errorf("a method returned %v after Delete, want ErrNotFound", err)
		}
	}
	put(t, c, r) // a deleted release can be added again
}

// gone calls all methods of c for r, and returns their errors. Each must be
// [publish.ErrNotFound] if c does not contain r.
func gone(ctx context.Context, c publish.Catalog, r *publish.Release) []error {
	_, get := c.Get(ctx, r.Ref())
	_, latest := c.Get(ctx, r.Slug)
	_, tor := c.Torrents(ctx, r.Ref())
	_, find := c.Find(ctx, r.Hash())
	_, family := c.Family(ctx, r.Slug)
	return []error{get, latest, tor, find, family, c.Delete(ctx, r.Ref()), c.Update(ctx, r.Ref(), publish.Change{}), c.SetSums(ctx, r.Ref(), r.Hash(), make([][32]byte, 2))}
}

func same(t *testing.T, got, want *publish.Release) {
	t.Helper()
	g, w := *got, *want
	for i := range g.Files {
		if !g.Files[i].ModTime.Equal(w.Files[i].ModTime) {
			t.Errorf("file %d was changed at %v, want %v", i, g.Files[i].ModTime, w.Files[i].ModTime)
		}
	}
	if !g.Published.Equal(w.Published) {
		t.Errorf("published at %v, want %v", g.Published, w.Published)
	}
	zero := func(r *publish.Release) {
		r.Published = time.Time{}
		r.Files = slices.Clone(r.Files)
		for i := range r.Files {
			r.Files[i].ModTime = time.Time{}
		}
	}
	zero(&g)
	zero(&w)
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got  %+v\nwant %+v", g, w)
	}
}

func testRefuses(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	put(t, c, Release("a", "1", "", day0))
	taken := Release("b", "1", "", day0)
	taken.HashV2 = Release("a", "1", "", day0).HashV2
	again := Release("a", "1", "", day0)
	again.HashV1[0]++
	again.HashV2[0]++
	again.Twin.Hash[0]++
	for what, r := range map[string]*publish.Release{"the reference": again, "a hash": taken} {
		if err := c.Put(ctx, r, torrents(r)); !errors.Is(err, publish.ErrExists) {
			t.Errorf("Put although %s is taken returned %v, want ErrExists", what, err)
		}
	}
	for _, label := range [][3]string{{"a~b", "1", ""}, {"a/b", "1", ""}, {"..", "1", ""}, {"x", "1~2", ""}, {"x", "a/b", ""},
		{"x", "a\x1b[2J", ""}, {"x", "1", "\u202e"}, {"x", strings.Repeat("v", 65), ""}, {"x", "1", "a\xffb"}} {
		r := Release(label[0], label[1], label[2], day0)
		if err := c.Put(ctx, r, torrents(r)); !errors.Is(err, publish.ErrLabel) {
			t.Errorf("Put with the label %q returned %v, want ErrLabel", label, err)
		}
	}
	if _, total, err := c.List(ctx, publish.Query{All: true}); err != nil || total != 1 {
		t.Errorf("List counts %d releases after refused calls of Put, %v, want 1", total, err)
	}
	bare := &publish.Release{Name: "x~y", Published: day0}
	if err := c.Put(ctx, bare, publish.Torrents{}); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Get(ctx, "x_y~1"); err != nil || r.Name != "x~y" {
		t.Errorf("the defaults of Put gave %+v, %v", r, err)
	}
}

func testResolves(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	put(t, c, Release("deb", "9", "amd64", day0))
	put(t, c, Release("deb", "9", "arm64", day0.Add(time.Hour)))
	put(t, c, Release("deb", "10", "arm64", day0.Add(2*time.Hour)))
	put(t, c, Release("deb", "10", "amd64", day0.Add(2*time.Hour)))
	put(t, c, Release("deb", "8", "s390x", day0.Add(-time.Hour)))
	put(t, c, Release("other", "1", "", day0.Add(9*time.Hour)))
	for ref, want := range map[string]string{
		"deb": "deb~10~amd64", "deb~10~arm64": "deb~10~arm64", "deb~~arm64": "deb~10~arm64", "deb~~s390x": "deb~8~s390x",
		"deb~9~amd64": "deb~9~amd64", "other": "other~1", "other~1": "other~1",
		"deb~10": "", "deb~11": "", "deb~~mips": "", "de": "", "": "", "~": "", "~~": "", "deb~9~amd64~x": "",
	} {
		r, err := c.Get(ctx, ref)
		if want == "" && !errors.Is(err, publish.ErrNotFound) || want != "" && (err != nil || r.Ref() != want) {
			t.Errorf("Get(%q) returned %v, %v, want %q", ref, r, err, want)
		}
		if want != "" && publish.ParseRef(r.Ref()).String() != r.Ref() {
			t.Errorf("parsing the reference %q and formatting it gives another one", r.Ref())
		}
	}
	family, err := c.Family(ctx, "deb")
	if got := refs(family); err != nil || !slices.Equal(got, []string{"deb~10~amd64", "deb~10~arm64", "deb~9~amd64", "deb~9~arm64", "deb~8~s390x"}) {
		t.Errorf("Family returned %q, %v, want the newest version first", got, err)
	}
	for _, ref := range []string{"deb~10~amd64", "deb~10~arm64"} {
		if err := c.Delete(ctx, ref); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := c.Get(ctx, "deb"); err != nil || r.Ref() != "deb~9~amd64" {
		t.Errorf("Get after deleting the newest release returned %v, %v, want deb~9~amd64", r, err)
	}
	if err := c.Delete(ctx, "deb"); !errors.Is(err, publish.ErrNotFound) {
		t.Errorf("Delete with a reference that is not exact returned %v, want ErrNotFound", err)
	}
}

func refs(list []*publish.Release) (out []string) {
	for _, r := range list {
		out = append(out, r.Ref())
	}
	return out
}

func testLists(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	put(t, c, Release("a", "1", "x86", day0))
	put(t, c, Release("a", "2", "x86", day0.Add(time.Minute)))
	put(t, c, Release("b", "1", "arm", day0.Add(time.Second)))
	put(t, c, Release("B C", "1", "arm", day0.Add(time.Second)))
	for _, k := range []struct {
		q    publish.Query
		want []string
		all  int
	}{
		{publish.Query{}, []string{"a~2~x86", "B C~1~arm", "b~1~arm"}, 3},
		{publish.Query{All: true}, []string{"a~2~x86", "B C~1~arm", "b~1~arm", "a~1~x86"}, 4},
		{publish.Query{Limit: 1, Offset: 1}, []string{"B C~1~arm"}, 3},
		{publish.Query{Offset: 9}, nil, 3},
		{publish.Query{Text: "c B"}, []string{"B C~1~arm"}, 1},
		{publish.Query{Text: "ARM", Limit: 1}, []string{"B C~1~arm"}, 2},
		{publish.Query{Text: "none"}, nil, 0},
		{publish.Query{Group: "group of x86", All: true}, []string{"a~2~x86", "a~1~x86"}, 2},
		{publish.Query{Group: "group"}, nil, 0},
	} {
		list, total, err := c.List(ctx, k.q)
		if got := refs(list); err != nil || total != k.all || !slices.Equal(got, k.want) {
			t.Errorf("List(%+v) returned %q of %d, %v, want %q of %d", k.q, got, total, err, k.want, k.all)
		}
		for _, r := range list {
			if r.Files != nil || r.Notes != "" || r.NumFiles != 2 {
				t.Errorf("List returned %+v, want no files and notes but their number", r)
			}
		}
	}
	groups, err := c.Groups(ctx)
	if want := []publish.GroupCount{{Group: "group of arm", Slugs: 2}, {Group: "group of x86", Slugs: 1}}; err != nil || !slices.Equal(groups, want) {
		t.Errorf("Groups returned %v, %v, want %v", groups, err, want)
	}
}

func testHostile(t *testing.T, c publish.Catalog) {
	for i, slug := range []string{"<script>alert(1)</script>", "'; DROP TABLE releases; --", "a\nb\x1b[2J", "\u202egnp.exe", "..\\..", strings.Repeat("€", 85), "bad\xff\xfeutf8", "%00", " "} {
		slug = publish.SlugOf(slug)
		r := Release(slug, "1", "", day0.Add(time.Duration(i)))
		r.Name, r.Notes, r.Path = slug, slug+"\x00"+slug, "/srv/"+slug
		put(t, c, r)
		got, err := c.Get(t.Context(), slug)
		if err != nil {
			t.Fatalf("Put of the slug %q: %v", slug, err)
		}
		same(t, got, r.Filled(torrents(r)))
		if list, _, err := c.List(t.Context(), publish.Query{Text: slug}); err != nil || slug != " " && len(list) != 1 && strings.ToLower(slug) == slug {
			t.Errorf("List with the text %q found %d releases, %v, want 1", slug, len(list), err)
		}
	}
}
