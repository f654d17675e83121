package site

import (
	"fmt"
	"testing"
	"time"

	"spate/publish"
)

// TestLayouts checks that the layout of a large archive is made once, and made again if the time in it
// changes, and that the layouts that are kept are limited.
func TestLayouts(t *testing.T) {
	t.Parallel()
	large := func(id byte, files int) *publish.Release {
		r := &publish.Release{Name: fmt.Sprint("tree", id), Published: sampleTime}
		r.HashV1[0] = id
		for i := range files {
			r.Files = append(r.Files, publish.File{Path: fmt.Sprint("f", i), Length: 1})
		}
		return r
	}
	var k layouts
	r := large(1, minKeptFiles)
	first := k.of(r)
	if k.of(r) != first {
		t.Error("the layout was made twice")
	}
	later := *r
	later.Published = r.Published.Add(time.Hour)
	if l := k.of(&later); l == first || l.time == first.time {
		t.Error("the layout has the time of an earlier publication")
	}
	if k.files != minKeptFiles || len(k.kept) != 1 {
		t.Errorf("%d files of %d releases are kept, want %d of 1", k.files, len(k.kept), minKeptFiles)
	}
	k.files = maxKeptFiles - 1 // as if there were other releases
	k.of(large(2, minKeptFiles))
	if k.files != minKeptFiles || len(k.kept) != 1 {
		t.Errorf("%d files of %d releases are kept after the limit, want %d of 1", k.files, len(k.kept), minKeptFiles)
	}
	if k.of(large(3, 2)) == nil || len(k.kept) != 1 {
		t.Error("a small layout is kept")
	}
}
