package peerstore

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
)

// maxMemory is the memory in bytes that 100,000 stored IPv4 peers may use.
const maxMemory = 4 << 20

// memory returns the bytes that a store uses in the heap.
func memory(s *Store) int {
	n := cap(s.blocks)*24 + cap(s.first)*8
	for _, block := range s.blocks[:cap(s.blocks)] {
		n += cap(block)
	}
	return n
}

// TestMemory checks the memory of IPv4 peers, whatever the size of their swarms and the order in
// which they come, and that it shrinks when peers go. It stores a quarter of 100,000 peers in a
// quarter of the memory.
func TestMemory(t *testing.T) {
	t.Parallel()
	const peers, most = 25_000, maxMemory / 4
	far := func(n int) (h [20]byte) {
		h = hash(0)
		binary.BigEndian.PutUint64(h[:], binary.BigEndian.Uint64(h[:])^uint64(n)<<40)
		return h
	}
	for what, torrent := range map[string]func(n int) [20]byte{
		"one peer each":       func(n int) [20]byte { return spread(uint64(n)) },
		"100 peers each":      func(n int) [20]byte { return spread(uint64(n / 100)) },
		"ascending distance":  far,
		"descending distance": func(n int) [20]byte { return far(peers - n) },
	} {
		s := newStore(t, false, Options{})
		for n := range peers {
			at := start
			if n%10 == 0 {
				at = start.Add(defaultLifetime / 2)
			}
			announce(t, s, at, torrent(n), addr4(n), false)
		}
		if got := memory(s); got > most || s.Len() != peers {
			t.Errorf("%s: %d peers use %d bytes, want at most %d", what, s.Len(), got, most)
		}
		s.Sweep(start.Add(defaultLifetime))
		if got := memory(s); got > most/5 || s.Len() != peers/10 {
			t.Errorf("%s: %d peers that are left use %d bytes, want at most %d", what, s.Len(), got, most/5)
		}
	}
}

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
		announce(b, s, start, spread(uint64(n/10)), a, false)
	}
	return s
}

func BenchmarkAnnounce(b *testing.B) {
	s := filled(b, false)
	for n := 0; b.Loop(); n++ {
		announce(b, s, start, spread(uint64(n/10%10_000)), addr4(n%100_000), false)
	}
}

func BenchmarkAppendValues(b *testing.B) {
	s := filled(b, false)
	buf := make([]byte, 0, 1024)
	for n := 0; b.Loop(); n++ {
		buf = s.AppendValues(buf[:0], start, spread(uint64(n%10_000)), 400, false)
	}
}

func BenchmarkSweep(b *testing.B) {
	s := filled(b, false)
	for b.Loop() {
		s.Sweep(start)
	}
}
