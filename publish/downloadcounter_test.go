package publish

import (
	"context"
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
