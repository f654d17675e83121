package publishtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"spate"
	"spate/publish"
)

func testChanges(t *testing.T, c publish.Catalog) {
	ctx := t.Context()
	r := put(t, c, Release("a", "1", "", day0))
	before, _ := c.Get(ctx, "a")
	group, notes, wanted, first, paused, watched, stamp := "g", "n", day0.Add(7), 90*time.Second, true, "", "t"
	sig := publish.Signatures{PublicKey: "RWQ", Sums: "s\n", Torrent: "t\n", Twin: "w\n"}
	location := publish.Location{Path: "/elsewhere", Files: []publish.File{{ModTime: day0.Add(5), Inode: 7, Change: 9}, {ModTime: day0.Add(6), Inode: 8}}}
	sums := [][32]byte{sha256.Sum256([]byte("1")), sha256.Sum256([]byte("2"))}
	if err := c.SetSums(ctx, r.Ref(), r.Hash(), sums); err != nil {
		t.Fatal(err)
	}
	if err := c.Update(ctx, r.Ref(), publish.Change{Group: &group, Notes: &notes, Signatures: &sig, Wanted: &wanted, FirstCopy: &first, Paused: &paused, Location: &location, Watched: &watched, Stamp: &stamp}); err != nil {
		t.Fatal(err)
	}
	want := Release("a", "1", "", day0).Filled(torrents(r))
	want.Group, want.Notes, want.Signatures, want.Wanted, want.FirstCopy, want.Paused, want.Path, want.Summed = group, notes, sig, wanted, first, paused, location.Path, true
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
	one := publish.Counts{Completed: 1, Direct: 2, Archives: 1, SeedBytes: 1 << 40, HTTPBytes: 4}
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
