// Package storagetest checks that an implementation of [storage.Storage] fulfils its
// contract. [Faulty] lets tests simulate failures.
package storagetest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"spate/storage"
)

// Open returns a new, empty storage with a byte space of n bytes, where n is at least
// 1. The byte space must not contain padding.
type Open func(t *testing.T, n int64) storage.Storage

// Run runs all checks. It also checks the optional interfaces that the storage implements.
// Run it with the race detector too.
func Run(t *testing.T, open Open) {
	t.Run("Range", func(t *testing.T) { testRange(t, open) })
	t.Run("Unwritten", func(t *testing.T) { testUnwritten(t, open) })
	t.Run("Random", func(t *testing.T) { testRandom(t, open) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrent(t, open) })
	t.Run("Closed", func(t *testing.T) { testClosed(t, open) })
	t.Run("ChangeDetector", func(t *testing.T) { testChangeDetector(t, open) })
	t.Run("ChangeByOthers", func(t *testing.T) { testChangeByOthers(t, open) })
	t.Run("DataFinder", func(t *testing.T) { testDataFinder(t, open) })
	t.Run("Preparer", func(t *testing.T) { testPreparer(t, open) })
	t.Run("FileSelector", func(t *testing.T) { testFileSelector(t, open) })
	t.Run("Mover", func(t *testing.T) { testMover(t, open) })
	t.Run("Remover", func(t *testing.T) { testRemover(t, open) })
}

// testRange checks that a range outside of the byte space transfers nothing and returns
// ErrRange.
func testRange(t *testing.T, open Open) {
	const n = 1000
	s := open(t, n)
	defer s.Close()
	for _, c := range []struct {
		off  int64
		size int
		ok   bool
	}{
		{0, 0, true}, {n, 0, true}, {0, n, true}, {n - 1, 1, true},
		{-1, 1, false}, {-1, 0, false}, {n, 1, false}, {n - 1, 2, false}, {n + 1, 0, false},
		{1<<63 - 1, 1, false}, {1<<63 - 1, n, false}, {-1 << 63, n, false}, {0, n + 1, false},
	} {
		for _, op := range []func([]byte, int64) (int, error){s.WriteAt, s.ReadAt} {
			got, err := op(make([]byte, c.size), c.off)
			if c.ok && (err != nil || got != c.size) {
				t.Errorf("a call with %d bytes at %d returned %d, %v, want success", c.size, c.off, got, err)
			}
			if !c.ok && (got != 0 || !errors.Is(err, storage.ErrRange)) {
				t.Errorf("a call with %d bytes at %d returned %d, %v, want ErrRange", c.size, c.off, got, err)
			}
		}
	}
}

// testUnwritten checks that reading unwritten data returns zeros or ErrMissing.
func testUnwritten(t *testing.T, open Open) {
	const n = 300_000
	s := open(t, n)
	defer s.Close()
	check := func() {
		p := bytes.Repeat([]byte{0xaa}, n-1)
		got, err := s.ReadAt(p, 1)
		if err != nil && !errors.Is(err, storage.ErrMissing) {
			t.Errorf("ReadAt of unwritten data returned %v, want zeros or ErrMissing", err)
		}
		if err == nil && got != len(p) {
			t.Errorf("ReadAt read only %d of %d bytes, but returned no error", got, len(p))
		}
		if len(bytes.Trim(p[:got], "\x00")) != 0 {
			t.Error("unwritten data does not read as zeros")
		}
	}
	check()
	if _, err := s.WriteAt([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	check()
}

// testRandom compares random writes and reads with a byte slice.
func testRandom(t *testing.T, open Open) {
	const n = 200_003
	s := open(t, n)
	defer s.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	model := make([]byte, n)
	if _, err := s.WriteAt(model, 0); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		off := rng.IntN(n + 1)
		p := make([]byte, rng.IntN(min(n-off, 70_000)+1))
		switch rng.IntN(20) {
		case 0:
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
		case 1, 2, 3, 4, 5, 6, 7, 8:
			for i := range p {
				p[i] = byte(rng.Uint32())
			}
			copy(model[off:], p)
			if got, err := s.WriteAt(p, int64(off)); got != len(p) || err != nil {
				t.Fatalf("WriteAt wrote %d of %d bytes: %v", got, len(p), err)
			}
		default:
			if got, err := s.ReadAt(p, int64(off)); got != len(p) || err != nil {
				t.Fatalf("ReadAt read %d of %d bytes: %v", got, len(p), err)
			}
			if !bytes.Equal(p, model[off:off+len(p)]) {
				t.Fatalf("%d bytes at %d differ from what was written", len(p), off)
			}
		}
	}
}

// testConcurrent checks that writers of different ranges do not disturb each other,
// their readers, or Sync.
func testConcurrent(t *testing.T, open Open) {
	const workers, size, rounds = 8, 50_001, 20
	s := open(t, workers*size)
	defer s.Close()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			p, q := make([]byte, size), make([]byte, size)
			for r := range rounds {
				for i := range p {
					p[i] = byte(w*31 + r*7 + i)
				}
				if _, err := s.WriteAt(p, int64(w)*size); err != nil {
					t.Errorf("WriteAt: %v", err)
					return
				}
				if _, err := s.ReadAt(q, int64(w)*size); err != nil {
					t.Errorf("ReadAt: %v", err)
					return
				}
				if !bytes.Equal(p, q) {
					t.Errorf("worker %d, round %d: the data differs from what was written", w, r)
					return
				}
				if r == w {
					if err := s.Sync(); err != nil {
						t.Errorf("Sync: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// testClosed checks that a closed storage returns os.ErrClosed, and that Close may be
// called during reads and writes.
func testClosed(t *testing.T, open Open) {
	s := open(t, 100_000)
	if _, err := s.WriteAt(make([]byte, 100_000), 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			p := make([]byte, 1000)
			for {
				if _, err := s.ReadAt(p, 500); err != nil {
					if !errors.Is(err, os.ErrClosed) {
						t.Errorf("ReadAt during Close returned %v, want success or os.ErrClosed", err)
					}
					return
				}
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wg.Wait()
	if _, err := s.WriteAt([]byte{1}, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("WriteAt after Close returned %v, want os.ErrClosed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("the second Close returned %v", err)
	}
}
