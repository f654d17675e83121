//go:build unix

package webrtc

import (
	"io"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"spate/internal/udpmux"
)

// cpu returns the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// newMuxHost returns an endpoint on a UDP port as the daemon opens it, which sends and receives
// many packets at once.
func newMuxHost(b *testing.B, at netip.Addr) *host {
	udp, err := udpmux.Listen(at, 0)
	if err != nil {
		b.Fatal(err)
	}
	h := &host{at: netip.AddrPortFrom(at, udp.Port())}
	h.Endpoint, err = New(Options{
		Send: func(p []byte, to netip.AddrPort, local netip.Addr) error {
			_, err := udp.Send([]udpmux.Packet{{Addr: to, Local: local, Data: p}})
			return err
		},
		SendBatch: func(packets []udpmux.Packet) { udp.Send(packets) },
		Addrs:     func() []netip.AddrPort { return []netip.AddrPort{h.at} },
		MayCheck:  func(a netip.AddrPort) bool { return a.Addr().IsLoopback() },
	})
	if err != nil {
		b.Fatal(err)
	}
	udp.Receive(udpmux.WebRTC, func(batch []udpmux.Packet) {
		for _, p := range batch {
			h.Receive(p.Data, p.Addr, p.Local)
		}
		h.Flush()
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		udp.Run(b.Context())
	}()
	b.Cleanup(func() { udp.Close(); <-done; h.Close() })
	return h
}

// BenchmarkTransfer measures the processor time of both ends together.
func BenchmarkTransfer(b *testing.B) {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	x, y := connect(b, newMuxHost(b, loopback), newMuxHost(b, loopback))
	piece := make([]byte, 64<<10)
	b.SetBytes(int64(len(piece)))
	b.ResetTimer()
	before := cpu()
	go func() {
		for range b.N {
			x.Write(piece)
		}
	}()
	if _, err := io.CopyN(io.Discard, y, int64(b.N)*int64(len(piece))); err != nil {
		b.Fatal(err)
	}
	gb := float64(b.N) * float64(len(piece)) / 1e9
	b.ReportMetric((cpu()-before).Seconds()/gb, "cpu-s/GB")
}

// BenchmarkConnect measures the processor time of both ends to open a data channel, and the memory
// and goroutines that an idle one holds at both ends.
func BenchmarkConnect(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines, start := runtime.NumGoroutine(), cpu()
	for range b.N {
		connect(b, newHost(b, true), newHost(b, true))
	}
	spent := cpu() - start
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(spent.Seconds()*1000/float64(b.N), "cpu-ms/conn")
	b.ReportMetric(float64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse)/1024/float64(b.N), "KiB/conn")
	b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/float64(b.N), "goroutines/conn")
}

// BenchmarkConnections connects 50 peers and disconnects them, over and over: -benchtime 10000x makes
// 10,000 connections. It reports the processor time of both sides, and what each left behind.
func BenchmarkConnections(b *testing.B) {
	const peers = 50
	c := newCrowd(b, peers)
	end := func(streams []*Stream) {
		for _, s := range streams {
			s.Close()
		}
		await(b, func() bool { return c.origin.Stats().Open == 0 })
	}
	end(c.connect(b))
	heapBefore, goroutines, files := heap(), runtime.NumGoroutine(), descriptors()
	used := cpu()
	b.ResetTimer()
	n := 0
	for ; n < b.N; n += peers {
		end(c.connect(b))
	}
	b.StopTimer()
	b.ReportMetric(1000*(cpu()-used).Seconds()/float64(n), "cpu-ms/conn")
	b.ReportMetric(float64(heap()-heapBefore), "left-B")
	b.ReportMetric(float64(settled(goroutines)-goroutines), "left-goroutines")
	b.ReportMetric(float64(descriptors()-files), "left-files")
}

// BenchmarkIdle keeps 300 connections without data for a minute, and reports their processor time.
func BenchmarkIdle(b *testing.B) {
	const peers = 300
	c := newCrowd(b, peers)
	before := heap()
	streams := c.connect(b)
	b.ReportMetric(float64(heap()-before)/float64(len(streams)), "B/side")
	used, start := cpu(), time.Now()
	time.Sleep(time.Minute)
	b.ReportMetric(1000*(cpu()-used).Seconds()/time.Since(start).Seconds()/float64(len(streams)), "cpu-ms/s/side")
}

// descriptors returns the number of open files of the process.
func descriptors() int {
	all, _ := os.ReadDir("/proc/self/fd")
	return len(all)
}
