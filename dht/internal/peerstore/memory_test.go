package peerstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// maxMemory is the memory in bytes that 100,000 stored IPv4 peers may use.
const maxMemory = 4 << 20

// memory returns the bytes that a store uses in the heap.
func memory(s *Store) int {
	n := cap(s.blocks)*24 + cap(s.first)*8
	for _, block := range s.blocks {
		n += cap(block)
	}
	return n
}

// TestMemory checks the memory of 100,000 IPv4 peers: each of another info-hash, and in swarms of
// several sizes, after random announces and after peers have come and gone.
func TestMemory(t *testing.T) {
	t.Parallel()
	const peers = 100_000
	for _, swarm := range []int{1, 100} {
		s := newStore(t, false, Options{})
		r := rand.New(rand.NewPCG(7, uint64(swarm)))
		for n := range peers {
			announce(t, s, start, hash(scatter(n/swarm)), addr4(n), false)
		}
		if got := memory(s); got > maxMemory || s.Len() != peers {
			t.Errorf("swarms of %d: %d peers use %d bytes, want at most %d", swarm, s.Len(), got, maxMemory)
		}
		now := start
		for range 100_000 {
			now = now.Add(3 * defaultLifetime / peers)
			err := s.Announce(now, hash(scatter(r.IntN(peers)/swarm)), addr4(r.IntN(peers)), false)
			if err != nil && !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
		}
		if got := memory(s); got > maxMemory || s.Len() < peers/4 {
			t.Errorf("swarms of %d: %d peers use %d bytes after changes, want at most %d", swarm, s.Len(), got, maxMemory)
		}
		s.Sweep(now.Add(time.Hour))
		if got := memory(s); got > maxMemory/16 || s.Len() != 0 {
			t.Errorf("swarms of %d: %d peers use %d bytes after all have expired", swarm, s.Len(), got)
		}
	}
}

// scatter returns a distance for the info-hash with number n.
func scatter(n int) uint64 { return uint64(n) * 0x9e3779b97f4a7c15 }

// BenchmarkMemory reports the memory of 100,000 peers, as the heap sees it.
func BenchmarkMemory(b *testing.B) {
	for _, v6 := range []bool{false, true} {
		b.Run(fmt.Sprintf("v6=%v", v6), func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				s := filled(b, v6)
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
				runtime.KeepAlive(s)
			}
		})
	}
}

// filled returns a store with 100,000 peers of 10,000 info-hashes.
func filled(b *testing.B, v6 bool) *Store {
	s := newStore(b, v6, Options{})
	for n := range 100_000 {
		a := addr4(n)
		if v6 {
			a = addr6(n)
		}
		announce(b, s, start, hash(scatter(n/10)), a, false)
	}
	return s
}

func BenchmarkAnnounce(b *testing.B) {
	s := filled(b, false)
	for n := 0; b.Loop(); n++ {
		announce(b, s, start, hash(scatter(n/10%10_000)), addr4(n%100_000), false)
	}
}

func BenchmarkAppendValues(b *testing.B) {
	s := filled(b, false)
	buf := make([]byte, 0, 1024)
	for n := 0; b.Loop(); n++ {
		buf = s.AppendValues(buf[:0], start, hash(scatter(n%10_000)), 400, false)
	}
}

func BenchmarkSweep(b *testing.B) {
	s := filled(b, false)
	for b.Loop() {
		s.Sweep(start)
	}
}
