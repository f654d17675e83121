//go:build !race

package torrent

import (
	"context"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"spate"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// cost counts the allocations, system calls and bytes of a process.
type cost struct {
	allocs, reads, writes, readBytes, writeBytes int64
}

// costSoFar returns the cost of this process since it started.
func costSoFar(t testing.TB) (c cost) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	if _, err := fmt.Sscanf(string(b), "rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d", &c.readBytes, &c.writeBytes, &c.reads, &c.writes); err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.allocs = int64(m.Mallocs)
	return c
}

// transferCost transfers n bytes from disk to disk between two sessions over TCP,
// and returns the cost of both sessions together.
func transferCost(t testing.TB, n int) cost {
	t.Helper()
	data, mi := noiseTorrent(t, n, 256<<10)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/"+mi.Info.Name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	seed, get := testSession(t, Options{}), testSession(t, Options{})
	if _, err := seed.Add(mi, AddOptions{Dir: dir, Verified: true}); err != nil {
		t.Fatal(err)
	}
	before := costSoFar(t)
	tor, err := get.Add(mi, AddOptions{Dir: t.TempDir(), Peers: []netip.AddrPort{seed.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := tor.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	c := costSoFar(t)
	return cost{c.allocs - before.allocs, c.reads - before.reads, c.writes - before.writes, c.readBytes - before.readBytes, c.writeBytes - before.writeBytes}
}

// TestTransferCost checks the cost of a transfer without measuring time. It compares
// a long transfer with a short one, so that the cost of the start does not count.
// Each byte may be read twice (from the disk and from a socket) and written twice
// (to a socket and to the disk).
func TestTransferCost(t *testing.T) {
	const short, long = 32 << 20, 96 << 20
	a, b := transferCost(t, short), transferCost(t, long)
	mib, blocks := float64((long-short)>>20), float64((long-short)/(16<<10))
	allocs := float64(b.allocs-a.allocs) / blocks
	calls := float64(b.reads+b.writes-a.reads-a.writes) / mib
	read, written := float64(b.readBytes-a.readBytes)/(long-short), float64(b.writeBytes-a.writeBytes)/(long-short)
	t.Logf("%.2f allocations for each block, %.1f system calls for each MiB, each byte is read %.3f times and written %.3f times", allocs, calls, read, written)
	if allocs > 0.75 { // one block costs the request, the answer, and a share of the piece
		t.Errorf("%.2f allocations for each block, want at most 0.75", allocs)
	}
	if calls > 64 { // about 12 on an idle machine; one call for each block at each step would be 256
		t.Errorf("%.1f system calls for each MiB, want at most 64", calls)
	}
	if read > 2.05 || written > 2.05 {
		t.Errorf("each byte is read %.3f times and written %.3f times, want at most 2.05", read, written)
	}
}

// TestIdleConnectionCost checks that an idle connection uses little memory, because
// it has a waiting goroutine, but no buffer and no timer.
func TestIdleConnectionCost(t *testing.T) {
	const conns = 200
	_, mi := noiseTorrent(t, 1<<20, 16<<10)
	s := testSession(t, Options{MaxConnsPerTorrent: 2 * conns})
	data, _ := noiseTorrent(t, 1<<20, 16<<10)
	tor, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	if err != nil {
		t.Fatal(err)
	}
	connectIdlePeers(t, s, mi, 20) // allocates the memory that all connections share
	before := memoryNow()
	connectIdlePeers(t, s, mi, conns)
	for tor.Stats().Peers < conns+20 {
		time.Sleep(time.Millisecond)
	}
	each := (memoryNow() - before) / conns
	t.Logf("%d bytes for each idle connection, including its other end in this process", each)
	if each > 8<<10 {
		t.Errorf("%d bytes for each idle connection, want at most %d", each, 8<<10)
	}
}

// memoryNow returns the bytes of the heap and the stacks after a garbage collection.
func memoryNow() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// connectIdlePeers connects n peers that send a handshake and have none, and then no
// more messages.
func connectIdlePeers(t testing.TB, s *Session, mi *metainfo.MetaInfo, n int) {
	t.Helper()
	for range n {
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		hs := peerwire.Handshake{InfoHash: mi.Hash(), PeerID: spate.NewPeerID()}
		hs.Reserved.SetFast()
		nc.Write(peerwire.AppendSimple(hs.Append(nil), peerwire.HaveNone))
		answer := make([]byte, peerwire.HandshakeLen+5) // handshake and have all
		if _, err := io.ReadFull(nc, answer); err != nil {
			t.Fatal(err)
		}
	}
}

// cpuTime returns the processor time of this process.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestHostileHandshakeCost checks what a hostile encrypted handshake costs, beside a connection that
// a session without encryption closes: little more than the shared secret, which takes 0.15 ms. So a
// thousand a second leave 0.8 of two processors to honest peers.
func TestHostileHandshakeCost(t *testing.T) {
	noise := make([]byte, 96+600)
	rand.NewChaCha8([32]byte{}).Read(noise)
	prime := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 768), big.NewInt(159)) // as long as that of the handshake
	base, exponent := new(big.Int).SetBytes(noise[:96]), new(big.Int).SetBytes(noise[96:116])
	measure := func(f func()) time.Duration {
		least := time.Duration(1<<63 - 1)
		for range 5 { // other tests may run at the same time
			before := cpuTime(t)
			for range 100 {
				f()
			}
			least = min(least, (cpuTime(t)-before)/100)
		}
		return least
	}
	attack := func(e Encryption) time.Duration {
		s := testSession(t, Options{Encryption: e})
		return measure(func() {
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			c.Write(noise)
			io.Copy(io.Discard, c)
		})
	}
	secret := measure(func() { new(big.Int).Exp(base, exponent, prime) })
	with, without := attack(EncryptionAllow), attack(EncryptionOff)
	t.Logf("processor time: %v for a hostile handshake, %v without encryption, %v for a shared secret", with, without, secret)
	if with-without > 6*secret { // it is 3 to 4.5 times; both ends of the connection are counted
		t.Errorf("a handshake takes %v more than a connection without encryption, want at most 6 times %v", with-without, secret)
	}
}
