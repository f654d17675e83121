package swarm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"spate/tracker/swarm"
)

// hashNo sets the info-hash of r to that of swarm n.
func hashNo(r *swarm.Request, n int) {
	binary.LittleEndian.PutUint64(r.InfoHash[:], uint64(n)*0x9e3779b97f4a7c15)
}

// population announces peers to each of the swarms, in turn.
func population(tb testing.TB, tab *swarm.Table, swarms, peers int) {
	tb.Helper()
	var rep swarm.Reply
	r := swarm.Request{NumWant: 50, Want4: true}
	for p := range peers {
		r.Addr, r.Key, r.Seed = addr4(p), uint32(p+1), p%5 == 0
		for s := range swarms {
			hashNo(&r, s)
			if err := tab.Announce(start, &r, &rep); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// BenchmarkAnnounce measures regular announces of random peers that want 50 peers, in
// tables of a million peers.
func BenchmarkAnnounce(b *testing.B) {
	for _, c := range []struct{ swarms, peers int }{{10_000, 100}, {1_000_000, 1}, {10, 100_000}} {
		b.Run(fmt.Sprintf("%dx%d", c.swarms, c.peers), func(b *testing.B) {
			tab := open(b, swarm.Options{})
			population(b, tab, c.swarms, c.peers)
			b.ReportAllocs()
			cpu := cpuTime()
			b.RunParallel(func(pb *testing.PB) {
				rnd := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
				var rep swarm.Reply
				r := swarm.Request{NumWant: 50, Want4: true}
				for pb.Next() {
					p := rnd.IntN(c.peers)
					hashNo(&r, rnd.IntN(c.swarms))
					r.Addr, r.Key, r.Seed = addr4(p), uint32(p+1), p%5 == 0
					tab.Announce(start, &r, &rep)
				}
			})
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkMemory measures the growth of the process in bytes per peer, or per swarm if
// each swarm has one peer, and fails if it exceeds the limit.
func BenchmarkMemory(b *testing.B) {
	for _, c := range []struct{ swarms, peers, limit int }{{10_000, 100, 16}, {1_000_000, 1, 150}, {1, 400_000, 16}} {
		b.Run(fmt.Sprintf("%dx%d", c.swarms, c.peers), func(b *testing.B) {
			n := c.swarms * c.peers
			for b.Loop() {
				debug.FreeOSMemory()
				before := resident(b)
				tab := open(b, swarm.Options{})
				population(b, tab, c.swarms, c.peers)
				grown := float64(resident(b)-before) / float64(n)
				b.ReportMetric(grown, "B/peer")
				b.ReportMetric(float64(tab.Totals().Bytes)/float64(n), "table-B/peer")
				if grown > float64(c.limit) {
					b.Errorf("%.1f bytes each, the limit is %d", grown, c.limit)
				}
				tab.Close()
			}
		})
	}
}

// cpuTime returns the CPU time of this process, which depends less on other load than
// the clock.
func cpuTime() time.Duration {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	sys, _ := strconv.Atoi(f[12])
	return time.Duration(user+sys) * (time.Second / 100)
}

// resident returns the resident memory of this process in bytes.
func resident(tb testing.TB) int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Skip("needs /proc")
	}
	n, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n * int64(os.Getpagesize())
}

// BenchmarkRestore restores a million peers.
func BenchmarkRestore(b *testing.B) {
	for _, c := range []struct{ swarms, peers int }{{10_000, 100}, {1_000_000, 1}, {2, 400_000}} {
		b.Run(fmt.Sprintf("%dx%d", c.swarms, c.peers), func(b *testing.B) {
			tab := open(b, swarm.Options{})
			population(b, tab, c.swarms, c.peers)
			var snap bytes.Buffer
			took := time.Now()
			if err := tab.Snapshot(start, &snap); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(took).Seconds(), "s/snapshot")
			tab.Close()
			cpu := cpuTime()
			for b.Loop() {
				again := open(b, swarm.Options{})
				if err := again.Restore(start, bytes.NewReader(snap.Bytes())); err != nil {
					b.Fatal(err)
				}
				if n := again.Totals().Peers(); n != c.swarms*c.peers {
					b.Fatalf("%d peers", n)
				}
				again.Close()
			}
			b.ReportMetric((cpuTime()-cpu).Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(snap.Len())/float64(c.swarms*c.peers), "B/peer")
		})
	}
}

// BenchmarkSweep sweeps a million expired peers in large swarms.
func BenchmarkSweep(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		tab := open(b, swarm.Options{})
		population(b, tab, 1000, 1000)
		runtime.GC()
		b.StartTimer()
		if _, gone := tab.Sweep(start.Add(2*time.Hour), 0); gone != 1_000_000 {
			b.Fatal(gone)
		}
		tab.Close()
	}
}
