package storage

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func TestNewLayoutRefuses(t *testing.T) {
	ok := File{Path: "t/ok", Length: 10}
	for name, files := range map[string][]File{
		"negative length": {{Path: "t/a", Length: -1}},
		"negative offset": {{Path: "t/a", Offset: -1}},
		"overlap":         {ok, {Path: "t/a", Offset: 9, Length: 1}},
		"overflow":        {ok, {Path: "t/a", Offset: math.MaxInt64 - 1, Length: 2}},
		"no path":         {{}},
		"dot":             {{Path: "."}},
		"climbs":          {{Path: "../a"}},
		"climbs inside":   {{Path: "t/../../a"}},
		"goes up":         {{Path: "t/../a"}},
		"absolute":        {{Path: "/a"}},
		"slash at end":    {{Path: "t/"}},
		"two slashes":     {{Path: "t//a"}},
		"NUL":             {{Path: "t/\x00"}},
		"twice":           {ok, {Path: "t/ok", Offset: 10}},
		"file over file":  {ok, {Path: "t/ok/a", Offset: 10}},
		"file under file": {{Path: "t/ok/a"}, ok},
		"link with data":  {{Path: "t/l", Link: "t/a", Length: 1}},
		"link climbs":     {{Path: "t/l", Link: "../a"}},
	} {
		if _, err := NewLayout(files); !errors.Is(err, ErrLayout) {
			t.Errorf("%s: NewLayout returned %v, want ErrLayout", name, err)
		}
	}
	if _, err := NewLayout([]File{ok, {Offset: 10, Length: 5, Pad: true}, {Path: "t/b/c", Offset: 20, Length: 0}}); err != nil {
		t.Errorf("NewLayout of a valid layout: %v", err)
	}
}

// TestExtents checks that the extents of a range contain all its bytes, each in the right
// file.
func TestExtents(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var files []File
		var owner []int // file of each byte, -1 for padding
		var where []int64
		for len(files) < 1+rng.IntN(12) {
			f := File{Path: string(rune('a' + len(files))), Length: int64(rng.IntN(20) * rng.IntN(2)), Pad: rng.IntN(4) == 0}
			for range rng.IntN(2) * rng.IntN(5) {
				owner, where = append(owner, -1), append(where, 0)
			}
			f.Offset = int64(len(owner))
			for k := range f.Length {
				o := len(files)
				if f.Pad {
					o = -1
				}
				owner, where = append(owner, o), append(where, k)
			}
			files = append(files, f)
		}
		l, err := NewLayout(files)
		if err != nil {
			t.Fatal(err)
		}
		if l.Len() > int64(len(owner)) || l.Len() < int64(len(owner))-5 {
			t.Fatalf("length %d, want %d", l.Len(), len(owner))
		}
		for range 20 {
			off, n := int64(rng.IntN(len(owner)+3)-1), int64(rng.IntN(len(owner)+5))
			at := max(off, 0)
			for e := range l.Extents(off, n) {
				for k := range e.Length {
					want := owner[at]
					if e.Pad != (want < 0) || !e.Pad && (e.File != want || e.Offset+k != where[at]) {
						t.Fatalf("byte %d: extent %+v + %d, want file %d", at, e, k, want)
					}
					at++
				}
			}
			if end := min(off+n, l.Len()); at != max(end, max(off, 0)) {
				t.Fatalf("extents of %d+%d end at %d, want %d", off, n, at, end)
			}
		}
	}
	l, err := NewLayout(nil)
	if err != nil {
		t.Fatal(err)
	}
	for e := range l.Extents(0, math.MaxInt64) {
		t.Errorf("Extents of an empty range returned %+v", e)
	}
}
