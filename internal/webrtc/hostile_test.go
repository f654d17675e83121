package webrtc

import (
	"crypto/rand"
	"encoding/binary"
	mathrand "math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
)

// TestGarbageEndsNothing checks that packets that a stranger sends in the name of a peer, and
// random ones of the peer itself, do not end an open data channel or hold memory.
func TestGarbageEndsNothing(t *testing.T) {
	t.Parallel()
	ha, hb := newHost(t, true), newHost(t, true)
	a, b := connect(t, ha, hb)
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	for i := range 5000 {
		p := make([]byte, 15+rng.IntN(1200))
		rand.Read(p)
		switch i % 4 {
		case 0: // DTLS application data of the right epoch
			copy(p, []byte{23, 0xfe, 0xfd, 0, 1})
		case 1: // a handshake message
			copy(p, []byte{22, 0xfe, 0xfd, 0, 0})
		case 2: // an alert without encryption
			copy(p, []byte{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 0})
			p = p[:15]
		case 3: // a check with a wrong password
			p = (&binding{username: a.l.ours.ufrag + ":" + b.l.ours.ufrag, password: "wrong password of 22 characters"}).packet()
		}
		if i%4 < 2 {
			binary.BigEndian.PutUint16(p[11:], uint16(len(p)-13))
		}
		ha.Receive(p, hb.at, netip.Addr{})
	}
	go b.Write([]byte("still here"))
	got := make([]byte, 10)
	for at := 0; at < len(got); {
		n, err := a.Read(got[at:])
		if err != nil {
			t.Fatal(err)
		}
		at += n
	}
	if string(got) != "still here" {
		t.Errorf("got %q", got)
	}
}

// TestOpenChannelStaysAtItsAddress checks that a peer cannot move an open channel to a stranger by a
// check with the stranger's address as its source.
func TestOpenChannelStaysAtItsAddress(t *testing.T) {
	t.Parallel()
	ha, hb := newHost(t, true), newHost(t, true)
	a, b := connect(t, ha, hb)
	forged := binding{username: a.l.ours.ufrag + ":" + b.l.ours.ufrag, password: a.l.ours.pwd, controlling: true, nominate: true}
	ha.Receive(forged.packet(), netip.MustParseAddrPort("127.0.0.9:9"), netip.Addr{})
	if at := a.l.remote.Load().addr; at != hb.at {
		t.Errorf("data goes to %v, want %v", at, hb.at)
	}
}

// TestStrangersKeepNothingAlive checks that packets that anybody can send in the name of a peer do not
// count as a sign of life, and that data of the peer does.
func TestStrangersKeepNothingAlive(t *testing.T) {
	t.Parallel()
	h, from := newHost(t, true), netip.MustParseAddrPort("192.0.2.1:1000")
	l := h.newLink(func(*Stream) {})
	l.path.in = make(chan *packet, 1)
	h.byAddr[from] = l
	h.Receive([]byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 2, 0}, from, netip.Addr{})
	if len(l.path.in) != 1 || l.lastHeard.Load() != 0 {
		t.Errorf("a packet that nobody has checked counts: %d passed on, heard at %d", len(l.path.in), l.lastHeard.Load())
	}

	ha, hb := newHost(t, true), newHost(t, true)
	a, b := connect(t, ha, hb)
	a.l.lastHeard.Store(0)
	if _, err := b.Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if a.l.lastHeard.Load() == 0 {
		t.Error("data does not count")
	}
}

// FuzzReceive checks that no packet makes an endpoint panic, or begins a handshake without the
// password.
func FuzzReceive(f *testing.F) {
	e, err := New(Options{
		Send:  func([]byte, netip.AddrPort, netip.Addr) error { return nil },
		Addrs: func() []netip.AddrPort { return nil },
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { e.Close() })
	o, err := e.Offer(func(*Stream) {})
	if err != nil {
		f.Fatal(err)
	}
	f.Add((&binding{username: o.l.ours.ufrag + ":abcd", password: "0123456789012345678901"}).packet())
	f.Add(successFor([12]byte{1}, netip.MustParseAddrPort("[2001:db8::1]:9"), "0123456789012345678901"))
	f.Add([]byte("\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	from := netip.MustParseAddrPort("192.0.2.1:1000")
	f.Fuzz(func(t *testing.T, b []byte) {
		e.Receive(b, from, netip.Addr{})
		if s := e.Stats(); s.Handshakes != 0 {
			t.Errorf("%x began a handshake", b)
		}
	})
}

// TestFloodOfOffersIsCheap checks the memory and the goroutines that offers without a check hold.
func TestFloodOfOffersIsCheap(t *testing.T) { // not parallel: it counts goroutines and memory
	h := newHost(t, true)
	const n = 4096
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	for range 2 * n {
		if _, err := h.Answer(chromium, func(*Stream) {}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if s := h.Stats(); s.Pending != n {
		t.Errorf("%d offers are pending, want %d", s.Pending, n)
	}
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes for each offer that waits", each)
	if each > 8<<10 {
		t.Errorf("an offer that waits holds %d bytes, want at most 8 KiB", each)
	}
	if more := runtime.NumGoroutine() - goroutines; more > 10 {
		t.Errorf("%d offers have %d goroutines", n, more)
	}
}
