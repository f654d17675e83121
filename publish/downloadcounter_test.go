package publish

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate"
)

// TestCounter checks that the counter counts each download exactly once, even if the
// process is killed or the tracker loses its state.
func TestCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewMemory()
		r := &Release{Name: "a", HashV1: spate.InfoHash{1}, HashV2: spate.InfoHashV2{2}, Published: time.Now(), Twin: Twin{Hash: spate.InfoHash{3}}, NumFiles: 1, Files: []File{{}}}
		if err := c.Put(t.Context(), r, Torrents{}); err != nil {
			t.Fatal(err)
		}
		var v1, v2, twin, seed, http atomic.Int64
		src := Sources{
			Completed: func(ih spate.InfoHash) int64 {
				return map[byte]*atomic.Int64{1: &v1, 2: &v2, 3: &twin}[ih[0]].Load()
			},
			Sent: func(ih spate.InfoHash) (int64, int64) {
				if ih[0] == 3 {
					return 0, 0
				}
				return seed.Load(), http.Load()
			},
		}
		run := func(during func(*Counter)) {
			counter := NewCounter(c, src, time.Now, nil)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- counter.Run(ctx) }()
			synctest.Wait()
			during(counter)
			cancel()
			<-done
		}
		check := func(what string, want Counts) {
			t.Helper()
			h, err := c.History(t.Context(), r.Hash(), time.Time{})
			if err != nil || h.Total != want {
				t.Errorf("%s: the totals are %+v, %v, want %+v", what, h.Total, err, want)
			}
		}
		v1.Store(2) // while the counter did not run
		seed.Store(1000)
		run(func(counter *Counter) {
			check("at the start", Counts{Completed: 2})
			time.Sleep(90 * time.Second)
			v1.Store(3) // a peer that announces both hashes
			v2.Store(3)
			twin.Store(1)
			counter.Completed()
			time.Sleep(countEvery)
			check("told", Counts{Completed: 4})
			seed.Store(1500)
			http.Store(70)
			counter.Direct(t.Context(), r.Hash())
			time.Sleep(2 * countEvery)
			check("looked", Counts{Completed: 4, Direct: 1, SeedBytes: 500, HTTPBytes: 70})
		})
		if got, _ := c.Get(t.Context(), "a"); got.FirstCopy != time.Second {
			t.Errorf("the first copy took %v, want 1s", got.FirstCopy)
		}
		run(func(*Counter) {})
		check("after a restart", Counts{Completed: 4, Direct: 1, SeedBytes: 500, HTTPBytes: 70})
		v1.Store(0) // the tracker has lost its state
		v2.Store(0)
		twin.Store(0)
		seed.Store(0)
		run(func(counter *Counter) {
			v1.Store(1)
			seed.Store(5)
			time.Sleep(2 * countEvery)
		})
		check("after a loss", Counts{Completed: 5, Direct: 1, SeedBytes: 505, HTTPBytes: 70})
		c = NewMemory() // a new process with the old tracker
		if err := c.Put(t.Context(), r, Torrents{}); err != nil {
			t.Fatal(err)
		}
		src.Fresh = true
		run(func(counter *Counter) {
			check("of before", Counts{})
			v1.Add(1)
			http.Add(7)
			time.Sleep(2 * countEvery)
			check("since", Counts{Completed: 1, HTTPBytes: 7})
		})
	})
}

// TestFirstCopyCountsFromTheFirstDownload checks that the time of the first copy begins when the
// first download begins, also after a restart, and that finished downloads are reported once.
func TestFirstCopyCountsFromTheFirstDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewMemory()
		r := &Release{Name: "a", HashV1: spate.InfoHash{1}, Published: time.Now(), Twin: Twin{Hash: spate.InfoHash{3}}, Size: 1000, NumFiles: 1, Files: []File{{}}}
		if err := c.Put(t.Context(), r, Torrents{}); err != nil {
			t.Fatal(err)
		}
		var done atomic.Int64
		var told []Finish
		src := Sources{
			Completed: func(ih spate.InfoHash) int64 { return done.Load() * int64(ih[0]&1) * int64(1-ih[0]>>1) },
			Sent:      func(ih spate.InfoHash) (int64, int64) { return 1100 * int64(1-ih[0]>>1), 0 },
			Finished:  func(f Finish) { told = append(told, f) },
		}
		time.Sleep(time.Hour) // nobody wants it
		before := NewCounter(c, src, time.Now, nil)
		before.Wanted(r.Twin.Hash)
		time.Sleep(time.Second)
		before.Wanted(r.HashV1)
		before.All(t.Context())
		time.Sleep(29 * time.Second)
		counter := NewCounter(c, src, time.Now, nil)
		counter.Wanted(r.HashV1) // a later download
		counter.All(t.Context())
		done.Store(1)
		counter.All(t.Context())
		counter.All(t.Context())
		if got, _ := c.Get(t.Context(), "a"); got.FirstCopy != 30*time.Second {
			t.Errorf("the first copy took %v, want 30s", got.FirstCopy)
		}
		done.Store(3)
		counter.All(t.Context())
		counter.Direct(t.Context(), r.HashV1)
		counter.All(t.Context())
		var got []string
		for _, f := range told {
			got = append(got, fmt.Sprint(f.Release.Ref(), " ", f.Downloads, " ", f.Total.Downloads(), " ", f.FirstCopy))
		}
		if want := "[a~1 1 1 30s a~1 2 3 0s a~1 1 4 0s]"; fmt.Sprint(got) != want {
			t.Errorf("finished downloads were reported as %v, want %s", got, want)
		}
	})
}

// TestDirectDownloadIsTheFirstCopy checks that the time of a first copy over HTTP begins with its
// download. A file of a tree is no copy, and an archive of all files is one.
func TestDirectDownloadIsTheFirstCopy(t *testing.T) {
	for _, c := range []struct {
		files int
		count func(*Counter, context.Context, spate.InfoHash)
		want  time.Duration
	}{{1, (*Counter).Direct, 7 * time.Second}, {3, (*Counter).Direct, 0}, {3, (*Counter).Archive, 7 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			catalog := NewMemory()
			r := &Release{Name: "a", HashV1: spate.InfoHash{1}, Published: time.Now(), NumFiles: c.files, Files: make([]File, c.files)}
			if err := catalog.Put(t.Context(), r, Torrents{}); err != nil {
				t.Fatal(err)
			}
			none := Sources{Completed: func(spate.InfoHash) int64 { return 0 }, Sent: func(spate.InfoHash) (int64, int64) { return 0, 0 }}
			counter := NewCounter(catalog, none, time.Now, nil)
			time.Sleep(time.Hour)
			counter.Wanted(r.HashV1)
			time.Sleep(7 * time.Second)
			c.count(counter, t.Context(), r.HashV1)
			if got, _ := catalog.Get(t.Context(), "a"); got.FirstCopy != c.want {
				t.Errorf("%d files: the first copy took %v, want %v", c.files, got.FirstCopy, c.want)
			}
		})
	}
}

// TestDelivery checks the copies and the saved bytes of a release.
func TestDelivery(t *testing.T) {
	for _, c := range []struct {
		counts Counts
		size   int64
		files  int
		want   Delivery
	}{
		{Counts{Completed: 12, SeedBytes: 1000, HTTPBytes: 100}, 1000, 3, Delivery{12, 1.1, 10900}},
		{Counts{Completed: 1, Direct: 5, SeedBytes: 1000, HTTPBytes: 5000}, 1000, 1, Delivery{6, 6, 0}},
		{Counts{Direct: 5, HTTPBytes: 500}, 1000, 10, Delivery{0, 0.5, 0}}, // five of ten files
		{Counts{Completed: 1, Direct: 7, Archives: 2, HTTPBytes: 2500}, 1000, 10, Delivery{3, 2.5, 500}},
		{Counts{Completed: 3}, 0, 1, Delivery{Finished: 3}},
		{Counts{Completed: 1 << 40}, 1 << 40, 1, Delivery{Finished: 1 << 40}}, // the bytes do not fit
	} {
		if got := c.counts.Delivery(c.size, c.files); got != c.want {
			t.Errorf("%+v of %d bytes in %d files: %+v, want %+v", c.counts, c.size, c.files, got, c.want)
		}
	}
}
