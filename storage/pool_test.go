package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
)

// content returns the byte at off of torrent i.
func content(i int, off int64) byte { return byte(i*7 + int(off)*3 + int(off>>8)) }

// stress reads and writes many torrents in several directories concurrently with a
// small pool.
func stress(t *testing.T, pool *Pool, torrents, files, workers, rounds int) {
	const size = 3000
	base := t.TempDir()
	list := make([]*Dir, torrents)
	for i := range list {
		dir := fmt.Sprintf("%s/%d", base, i%7)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		layout := make([]File, files)
		for k := range layout {
			layout[k] = File{Path: fmt.Sprintf("t%d/d%d/f%d", i, k%2, k), Offset: int64(k) * size, Length: size}
		}
		l, err := NewLayout(layout)
		if err != nil {
			t.Fatal(err)
		}
		if list[i], err = OpenLayout(dir, l, pool, DirOptions{}); err != nil {
			t.Fatal(err)
		}
		defer list[i].Close()
		all := make([]byte, l.Len())
		for k := range all {
			all[k] = content(i, int64(k))
		}
		if _, err := list[i].WriteAt(all, 0); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for range rounds {
				i := rng.IntN(torrents)
				d := list[i]
				off := rng.Int64N(d.layout.Len())
				p := make([]byte, min(rng.Int64N(2*size)+1, d.layout.Len()-off))
				want := make([]byte, len(p))
				for k := range want {
					want[k] = content(i, off+int64(k))
				}
				var err error
				switch rng.IntN(8) {
				case 0, 1, 2:
					_, err = d.WriteAt(want, off)
				case 3:
					err = d.Check(0, d.layout.Len())
				case 4:
					d.HasData(off, 10)
				default:
					_, err = d.ReadAt(p, off)
					if !bytes.Equal(p, want) && err == nil {
						err = errors.New("data differs")
					}
				}
				if err != nil {
					t.Errorf("reading and writing torrent %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestPoolIsShared(t *testing.T) {
	for _, limit := range []int{8, 20, 1000} {
		pool := NewPool(limit)
		stress(t, pool, 20, 5, 8, 300)
		st := pool.Stats()
		if st.Limit > limit || st.Open > st.Limit || limit < 1000 && st.Evicted == 0 || limit == 1000 && st.Evicted > 0 {
			t.Errorf("a pool with the limit %d has the counters %+v", limit, st)
		}
		pool.Close()
		if st := pool.Stats(); st.Open != 0 {
			t.Errorf("%d descriptors open after all torrents were closed", st.Open)
		}
	}
}

// TestPoolCloseWhileUsed checks that Close may be called while the pool is in use, and that
// the pool works afterwards.
func TestPoolCloseWhileUsed(t *testing.T) {
	pool := NewPool(10)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				pool.Close()
			}
		}
	})
	stress(t, pool, 5, 3, 4, 200)
	close(stop)
	wg.Wait()
}

// TestPoolEvictsLeastRecentlyUsed checks that recently used files stay open.
func TestPoolEvictsLeastRecentlyUsed(t *testing.T) {
	pool := NewPool(16)
	pool.files.limit = 4
	files := make([]File, 12)
	for i := range files {
		files[i] = File{Path: fmt.Sprintf("t/%d", i), Offset: int64(i), Length: 1}
	}
	l, err := NewLayout(files)
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenLayout(t.TempDir(), l, pool, DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p := []byte{1}
	for round := range 5 {
		for i := 1; i < len(files); i++ {
			for _, k := range []int64{0, int64(i)} {
				if _, err := d.WriteAt(p, k); err != nil {
					t.Fatal(err)
				}
			}
		}
		// File 0 is always in use, so it is opened once. The others are opened once per
		// round.
		if want := uint64(1 + 1 + (round+1)*(len(files)-1)); pool.Stats().Opened > want+uint64(round) {
			t.Fatalf("round %d: opened %d times, want %d", round, pool.Stats().Opened, want)
		}
	}
}

func TestPoolDefault(t *testing.T) {
	if l := NewPool(0).Stats().Limit; l < 4 || l > 1024 {
		t.Errorf("the default limit is %d, want 4 to 1024", l)
	}
	for _, n := range []int{1, 8, 9, 16, 64, 1024, 100_000} {
		p := NewPool(n)
		if most := p.files.limit + p.roots.limit + 3*cap(p.opening); most > max(n, minPool) || p.files.limit < max(n, minPool)/3 {
			t.Errorf("the limit %d is divided into %d files, %d directories and %d lookups", n, p.files.limit, p.roots.limit, cap(p.opening))
		}
	}
}
