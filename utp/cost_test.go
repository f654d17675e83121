package utp

import (
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
)

// ring is a PacketConn that keeps copies of the packets in reused buffers.
type ring struct {
	packets [][]byte
	used    int
}

func (r *ring) WriteTo(b []byte, _ netip.AddrPort) error {
	if r.used == len(r.packets) {
		r.packets = append(r.packets, make([]byte, maxPacket))
	}
	r.packets[r.used] = r.packets[r.used][:copy(r.packets[r.used][:maxPacket], b)]
	r.used++
	return nil
}

// exchange passes packets between two sockets until none are left.
func exchange(a, b *Socket, ab, ba *ring) {
	for ab.used+ba.used > 0 {
		n := ab.used
		ab.used = 0
		for _, p := range ab.packets[:n] {
			b.Handle(p, a.opt.Addr)
		}
		n = ba.used
		ba.used = 0
		for _, p := range ba.packets[:n] {
			a.Handle(p, b.opt.Addr)
		}
	}
}

// joined returns a connection and the other side of it.
func joined(t *testing.T) (a, b *Socket, ab, ba *ring, x, y *Conn) {
	t.Helper()
	ab, ba = &ring{}, &ring{}
	a, err := NewSocket(ab, Options{Addr: netip.MustParseAddrPort("10.0.0.1:1")})
	if err != nil {
		t.Fatal(err)
	}
	b, err = NewSocket(ba, Options{Addr: netip.MustParseAddrPort("10.0.0.2:2")})
	if err != nil {
		t.Fatal(err)
	}
	x, y = join(t, a, b, ab, ba)
	return a, b, ab, ba, x, y
}

func join(t *testing.T, a, b *Socket, ab, ba *ring) (x, y *Conn) {
	x, err := a.newDialed(b.opt.Addr)
	if err != nil {
		t.Fatal(err)
	}
	x.mu.Lock()
	x.flush()
	x.mu.Unlock()
	exchange(a, b, ab, ba)
	x.Write([]byte("hello"))
	exchange(a, b, ab, ba)
	c, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return x, c.(*Conn)
}

// TestPacketsNeedNoAllocation checks that sending and receiving allocate nothing once the buffers
// have grown.
func TestPacketsNeedNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop buffers")
	}
	synctest.Test(t, testAllocations) // whose clock stands still, so that no timer sends packets
}

func testAllocations(t *testing.T) {
	a, b, ab, ba, x, y := joined(t)
	defer a.Close()
	defer b.Close()
	data, buf := make([]byte, 50_000), make([]byte, 50_000)
	round := func() {
		x.Write(data)
		exchange(a, b, ab, ba)
		for {
			if n, _ := y.m.readable(); n == 0 {
				break
			}
			y.Read(buf)
		}
		exchange(a, b, ab, ba)
	}
	for range 20 {
		round()
	}
	if n := testing.AllocsPerRun(50, round); n > 3 {
		t.Errorf("sending 36 packets makes %v allocations", n)
	}
}

// TestIdleConnectionIsSmall checks the memory of idle connections.
func TestIdleConnectionIsSmall(t *testing.T) {
	synctest.Test(t, testIdleMemory)
}

func testIdleMemory(t *testing.T) {
	a, b, ab, ba, _, _ := joined(t)
	defer a.Close()
	defer b.Close()
	const n = 500
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // frees what sync.Pool holds
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	conns := make([]*Conn, 0, 2*n)
	before := heap()
	for range n {
		x, y := join(t, a, b, ab, ba)
		y.Read(make([]byte, 10))
		conns = append(conns, x, y)
	}
	each := int(heap()-before) / len(conns)
	t.Logf("%d bytes", each)
	if each > 6<<10 {
		t.Errorf("an idle connection occupies %d bytes", each)
	}
	runtime.KeepAlive(conns)
}
