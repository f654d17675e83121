package site

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/publish"
)

// TestBegunDownloads checks that only requests that get data to save begin a download: no HEAD request,
// no answer without data and no preview.
func TestBegunDownloads(t *testing.T) {
	t.Parallel()
	var begun []spate.InfoHash
	f := newFixture(t, Options{Begun: func(ih spate.InfoHash) { begun = append(begun, ih) }})
	one := sample(t, f.catalog, sparse(t, 100, f.dir, "one.txt"), nil)
	tree := f.archived(t, "tree", zipSamples)
	tag := f.get("HEAD", "/d/one.txt").Header.Get("ETag")
	for _, c := range []struct {
		method, path string
		header       []string
		want         *publish.Release
	}{
		{"HEAD", "/d/one.txt", nil, nil}, {"HEAD", "/z/tree.zip", nil, nil}, {"HEAD", "/d/tree/a.txt", nil, nil},
		{"GET", "/v/one.txt", nil, nil}, {"GET", "/v/tree/a.txt", nil, nil},
		{"GET", "/d/one.txt", []string{"If-None-Match", tag}, nil}, {"GET", "/d/one.txt", []string{"Range", "bytes=100-"}, nil}, {"GET", "/d/none", nil, nil},
		{"GET", "/d/one.txt", nil, one}, {"GET", "/d/one.txt", []string{"Range", "bytes=5-6"}, one}, {"GET", "/d/tree/a.txt", nil, tree}, {"GET", "/z/tree.zip", nil, tree},
	} {
		begun = nil
		body(t, f.get(c.method, c.path, c.header...))
		var want []spate.InfoHash
		if c.want != nil {
			want = []spate.InfoHash{c.want.Hash()}
		}
		if !slices.Equal(begun, want) {
			t.Errorf("%s %s %v began %v, want %v", c.method, c.path, c.header, begun, want)
		}
	}
}

// TestDeliveredCopies checks that single files of a tree are no complete downloads on its page, as in the
// other lists of finished downloads.
func TestDeliveredCopies(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	one, tree := f.release(t, "one.iso", 100), f.tree(t, "tree", "a", "b")
	for _, rel := range []*publish.Release{one, tree} {
		counts := publish.Counts{Completed: 2, Direct: 3, SeedBytes: rel.Size}
		if err := f.catalog.Count(t.Context(), rel.Hash(), time.Now(), counts); err != nil {
			t.Fatal(err)
		}
		want := counts.Delivery(rel.Size, rel.NumFiles)
		n := f.numbers(t.Context(), rel)
		if got := (publish.Delivery{Finished: n.Delivered, Copies: n.Copies, Saved: n.Saved}); got != want {
			t.Errorf("%s: %+v on the page, want %+v", rel.Name, got, want)
		}
		page := body(t, f.get("GET", "/r/"+rel.Name))
		if want := fmt.Sprintf("Downloads: %d downloads in 30 days", want.Finished); !strings.Contains(page, want) {
			t.Errorf("the chart of %s does not say %q", rel.Name, want)
		}
	}
}

// TestZipTagNamesTheTime checks that the archive of a release that was published again at another time,
// which contains that time, has another entity tag.
func TestZipTagNamesTheTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	rel := f.archived(t, "tree", zipSamples)
	first := f.get("GET", "/z/tree.zip")
	if err := f.catalog.Delete(t.Context(), rel.Ref()); err != nil {
		t.Fatal(err)
	}
	sample(t, f.catalog, rel.Path, func(r *publish.Release) { r.Published = sampleTime.Add(time.Hour) })
	second := f.get("GET", "/z/tree.zip")
	if a, b := first.Header.Get("ETag"), second.Header.Get("ETag"); a == b || body(t, first) == body(t, second) {
		t.Errorf("two archives with the tags %s and %s, want different archives and tags", a, b)
	}
}

// TestChecksumsOfOthersStay checks that only the checksums of the release that was not asked for for the
// longest time are dropped.
func TestChecksumsOfOthersStay(t *testing.T) {
	t.Parallel()
	var kept crcs
	rel := func(n byte) *publish.Release {
		return &publish.Release{HashV1: spate.InfoHash{n}, Files: make([]publish.File, 10)}
	}
	for n := range byte(4) {
		kept.ofAtMost(rel(n+1), 30).set(0, uint32(n)) // the fourth replaces the first
	}
	for n, want := range map[byte]bool{2: true, 3: true, 4: true} {
		if _, ok := kept.ofAtMost(rel(n), 30).get(0); ok != want {
			t.Errorf("the checksum of release %d is known: %t, want %t", n, ok, want)
		}
	}
	if _, ok := kept.ofAtMost(rel(1), 30).get(0); ok || kept.files != 30 || len(kept.releases) != 3 {
		t.Errorf("the checksums of %d files of %d releases are kept, that of the first: %t; want 30, 3, false", kept.files, len(kept.releases), ok)
	}
}
