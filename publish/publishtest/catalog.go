// Package publishtest tests that a [publish.Catalog] fulfils its contract.
package publishtest

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spate"
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
		"lists": testLists, "changes": testChanges, "counts": testCounts, "all at once": testEach, "revisions": testRevision, "hostile": testHostile, "many at once": testConcurrent,
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

func testChanges(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	r := put(t, c, Release("a", "1", "", day0))
	before, _ := c.Get(ctx, "a")
	group, notes, first, paused, watched, stamp := "g", "n", 90*time.Second, true, "", "t"
	sig := publish.Signatures{PublicKey: "RWQ", Sums: "s\n", Torrent: "t\n", Twin: "w\n"}
	location := publish.Location{Path: "/elsewhere", Files: []publish.File{{ModTime: day0.Add(5), Inode: 7, Change: 9}, {ModTime: day0.Add(6), Inode: 8}}}
	sums := [][32]byte{sha256.Sum256([]byte("1")), sha256.Sum256([]byte("2"))}
	if err := c.SetSums(ctx, r.Ref(), r.Hash(), sums); err != nil {
		t.Fatal(err)
	}
	if err := c.Update(ctx, r.Ref(), publish.Change{Group: &group, Notes: &notes, Signatures: &sig, FirstCopy: &first, Paused: &paused, Location: &location, Watched: &watched, Stamp: &stamp}); err != nil {
		t.Fatal(err)
	}
	want := Release("a", "1", "", day0).Filled(torrents(r))
	want.Group, want.Notes, want.Signatures, want.FirstCopy, want.Paused, want.Path, want.Summed = group, notes, sig, first, paused, location.Path, true
	want.Watched, want.Stamp = watched, stamp
	for i := range want.Files {
		now := location.Files[i]
		want.Files[i].SHA256, want.Files[i].ModTime, want.Files[i].Inode, want.Files[i].Change = sums[i], now.ModTime, now.Inode, now.Change
	}
	got, err := c.Get(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	if before.Group == group || before.Summed || before.Files[0].Inode == 7 {
		t.Error("a release that was returned before has changed")
	}
	list, _, _ := c.List(ctx, publish.Query{Group: "g"})
	if len(list) != 1 || !list[0].Summed || list[0].FirstCopy != first || list[0].Signatures != sig {
		t.Errorf("List does not contain the change: %+v", list)
	}
	other := r.Hash()
	other[0]++
	if err := c.SetSums(ctx, r.Ref(), other, sums); !errors.Is(err, publish.ErrNotFound) {
		t.Errorf("SetSums with another info-hash returned %v, want ErrNotFound", err)
	}
	if err := c.SetSums(ctx, r.Ref(), r.Hash(), sums[:1]); err == nil {
		t.Error("SetSums accepted the sum of one file for a release of two files")
	}
	if err := c.Update(ctx, r.Ref(), publish.Change{Location: &publish.Location{}}); err == nil {
		t.Error("Update accepted a location without files")
	}
	links := publish.Links{Base: "http://b.example", Announce: [][]string{{"http://b.example/announce"}}, WebSeeds: []string{"http://b.example/d/a"},
		Magnet: "magnet:?xt=urn:btih:02", TwinMagnet: "magnet:?xt=urn:btih:03", Torrents: publish.Torrents{Main: []byte("de"), Twin: []byte("d1:a0:e")}}
	if err := c.Update(ctx, r.Ref(), publish.Change{Links: &links}); err != nil {
		t.Fatal(err)
	}
	want.Base, want.Announce, want.WebSeeds, want.Magnet, want.Twin.Magnet = links.Base, links.Announce, links.WebSeeds, links.Magnet, links.TwinMagnet
	want.TorrentSize, want.Twin.TorrentSize = 2, 7
	if got, err = c.Get(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	if kept, err := c.Torrents(ctx, "a"); err != nil || !reflect.DeepEqual(kept, links.Torrents) {
		t.Errorf("Torrents returned %q, %v, want those of the new links", kept, err)
	}
	links.Torrents.Twin = nil
	if err := c.Update(ctx, r.Ref(), publish.Change{Links: &links}); err == nil {
		t.Error("Update accepted links without the twin's torrent")
	}
}

func testCounts(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	r, other := put(t, c, Release("a", "1", "", day0)), Release("b", "1", "", day0)
	one := publish.Counts{Completed: 1, Direct: 2, SeedBytes: 1 << 40, HTTPBytes: 4}
	for _, at := range []time.Time{day0, day0, day0.Add(time.Second), day0.AddDate(0, 0, 30)} { // these times are on three days, because day0 is a second before midnight
		if err := c.Count(ctx, r.Hash(), at, one); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Count(ctx, other.Hash(), day0, publish.Counts{Completed: 5}); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(ctx, r.Ref()); err != nil {
		t.Fatal(err)
	}
	two := one.Add(one)
	all := two.Add(two)
	all.Completed += 5
	for ih, want := range map[spate.InfoHash]publish.Counts{r.Hash(): two.Add(two), other.Hash(): {Completed: 5}, {1}: {}, {}: all} {
		if got, err := c.Total(ctx, ih); err != nil || got != want {
			t.Errorf("Total(%s) returned %+v, %v, want %+v", ih, got, err, want)
		}
	}
	h, err := c.History(ctx, r.Hash(), time.Time{})
	want := publish.History{Total: two.Add(two), Days: []publish.Day{{Date: "2026-11-04", Counts: two}, {Date: "2026-11-05", Counts: one}, {Date: "2026-12-04", Counts: one}}}
	if err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("History returned %+v, %v, want %+v", h, err, want)
	}
	h, err = c.History(ctx, r.Hash(), day0.AddDate(0, 0, 1))
	want.Days = want.Days[1:]
	if err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("History since the second day returned %+v, %v, want %+v", h, err, want)
	}
	h, err = c.History(ctx, [20]byte{}, day0)
	if err != nil || h.Total.Completed != 9 || len(h.Days) != 3 || h.Days[0].Completed != 7 {
		t.Errorf("History of all releases returned %+v, %v, want 9 downloads on 3 days, 7 of them on the first", h, err)
	}
	if h, err := c.History(ctx, [20]byte{1}, day0); err != nil || !reflect.DeepEqual(h, publish.History{}) {
		t.Errorf("History of an unknown info-hash returned %+v, %v, want an empty one", h, err)
	}
}

// testHostile uses names with characters that are special for SQL, file systems or HTML.
// testEach checks that Each returns what Get and Torrents return, in the order of List. The
// last release is deleted meanwhile, so Each may or may not return it.
func testEach(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	none := func(r *publish.Release, _ publish.Torrents) error { t.Errorf("Each returned %s", r.Ref()); return nil }
	if err := c.Each(ctx, none); err != nil {
		t.Errorf("Each of an empty catalog returned %v", err)
	}
	const n = 60
	for i := range n {
		r := Release(fmt.Sprint("slug ", i%20, " é<"), fmt.Sprint(i/20), []string{"", "amd64"}[i%2], day0.Add(time.Duration(i*37%101)*time.Second))
		switch i % 3 {
		case 1:
			r.Files, r.NumFiles = r.Files[:1], 1
		case 2:
			r.Files, r.NumFiles = nil, 0
		}
		r.Reindex()
		put(t, c, r)
	}
	list, _, err := c.List(ctx, publish.Query{All: true})
	if err != nil || len(list) != n {
		t.Fatalf("List returned %d releases, %v, want %d", len(list), err, n)
	}
	i := 0
	err = c.Each(ctx, func(r *publish.Release, tor publish.Torrents) error {
		if i == len(list) || r.Ref() != list[i].Ref() {
			t.Fatalf("release %d of Each is %s, want those of List", i, r.Ref())
		}
		want, err := c.Get(ctx, r.Ref())
		if err != nil {
			return err
		}
		same(t, r, want)
		if kept, err := c.Torrents(ctx, r.Ref()); err != nil || !reflect.DeepEqual(tor, kept) {
			t.Errorf("the torrents of %s are %q, want %q, %v", r.Ref(), tor, kept, err)
		}
		i++
		if i == n-1 {
			return c.Delete(ctx, list[i].Ref())
		}
		return nil
	})
	if err != nil && !errors.Is(err, publish.ErrNotFound) || i < n-1 {
		t.Errorf("Each called its function %d times and returned %v, want %d times", i, err, n)
	}
	stop := errors.New("stop")
	if err := c.Each(ctx, func(*publish.Release, publish.Torrents) error { return stop }); err != stop {
		t.Errorf("Each returned %v, want the error of its function", err)
	}
	ended, cancel := context.WithCancelCause(ctx)
	cancel(stop)
	if err := c.Each(ended, none); err != stop {
		t.Errorf("Each with an ended context returned %v, want its cause", err)
	}
}

// testRevision checks that every change of a release makes the revision larger, and that
// nothing else does.
func testRevision(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	r := Release("a", "1", "", day0)
	last := c.Revision()
	step := func(what string, changes bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		now := c.Revision()
		if changes != (now > last) || now < last {
			t.Errorf("after %s the revision is %d, and was %d", what, now, last)
		}
		last = now
	}
	step("Put", true, c.Put(ctx, r, torrents(r)))
	text, yes, took := "x", true, time.Second
	for name, change := range map[string]publish.Change{
		"group": {Group: &text}, "notes": {Notes: &text}, "signatures": {Signatures: &publish.Signatures{PublicKey: "k"}}, "first copy": {FirstCopy: &took},
		"pause": {Paused: &yes}, "watched": {Watched: &text}, "stamp": {Stamp: &text},
		"location": {Location: &publish.Location{Path: "/x", Files: make([]publish.File, 2)}},
		"links":    {Links: &publish.Links{Torrents: publish.Torrents{Main: []byte("de"), Twin: []byte("de")}}},
	} {
		step("Update of "+name, true, c.Update(ctx, r.Ref(), change))
	}
	step("SetSums", true, c.SetSums(ctx, r.Ref(), r.Hash(), make([][32]byte, 2)))
	_, err := c.Get(ctx, r.Ref())
	step("Get", false, err)
	_, _, err = c.List(ctx, publish.Query{All: true})
	step("List", false, err)
	step("Count", false, c.Count(ctx, r.Hash(), day0, publish.Counts{Direct: 1}))
	if c.Put(ctx, r, torrents(r)) == nil || c.Update(ctx, "none", publish.Change{}) == nil || c.Delete(ctx, "none") == nil {
		t.Error("a change of a missing or an existing release succeeded")
	}
	step("failed changes", false, nil)
	other := Release("b", "1", "", day0)
	step("Put of another release", true, c.Put(ctx, other, torrents(other)))
	step("Delete", true, c.Delete(ctx, r.Ref()))
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

func testConcurrent(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	const workers, each = 4, 12
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for j := range each {
				r := Release(fmt.Sprint(i, "-", j), "1", "", day0)
				if err := c.Put(ctx, r, torrents(r)); err != nil {
					t.Errorf("Put: %v", err)
				}
				if err := c.SetSums(ctx, r.Ref(), r.Hash(), make([][32]byte, 2)); err != nil {
					t.Errorf("SetSums: %v", err)
				}
				if err := c.Count(ctx, [20]byte{9}, day0, publish.Counts{Direct: 1}); err != nil {
					t.Errorf("Count: %v", err)
				}
				list, _, _ := c.List(ctx, publish.Query{Limit: 10, All: j%2 == 0})
				for _, l := range list {
					if full, err := c.Get(ctx, l.Ref()); err == nil {
						full.Lookup("a")
					}
				}
				if j%2 == 0 {
					if err := c.Delete(ctx, r.Ref()); err != nil {
						t.Errorf("Delete: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	if _, total, err := c.List(ctx, publish.Query{}); total != workers*each/2 || err != nil {
		t.Errorf("List counts %d releases, %v, want %d", total, err, workers*each/2)
	}
	if h, err := c.History(ctx, [20]byte{9}, day0); h.Total.Direct != workers*each || err != nil {
		t.Errorf("History returned %+v, %v, want %d direct downloads", h, err, workers*each)
	}
}
