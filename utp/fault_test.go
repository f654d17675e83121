package utp

import (
	"bytes"
	"testing"
	"time"
)

// transfer sends data from a to b in a simulation, closes a, and returns how long it took, or
// fails the test.
func transfer(t *testing.T, s *sim, a, b *endpoint, data []byte, limit time.Duration) time.Duration {
	t.Helper()
	var got []byte
	rest, began := data, s.now
	var eof time.Duration
	a.onWake = func() {
		for a.m.state == open && len(rest) > 0 {
			n := a.m.write(a.now(), rest)
			if n == 0 {
				break
			}
			rest = rest[n:]
		}
		if len(rest) == 0 && !a.m.closed {
			a.m.close(a.now())
		}
	}
	buf := make([]byte, 32<<10)
	b.onWake = func() {
		for {
			n := b.m.r.read(buf)
			if n == 0 {
				break
			}
			got = append(got, buf[:n]...)
		}
		if b.m.r.ended && eof == 0 {
			eof = s.now
		}
		if b.m.r.ended && !b.m.closed {
			b.m.close(b.now())
		}
	}
	s.run(limit, func() bool { return a.m.state == ended && b.m.state == ended })
	if !bytes.Equal(got, data) {
		t.Fatalf("received %d of %d bytes, or others; the sender ended with %v, the receiver with %v", len(got), len(data), a.m.cause, b.m.cause)
	}
	if a.m.cause != nil || b.m.cause != nil || a.m.state != ended || b.m.state != ended {
		t.Fatalf("the connection did not end well: %d %v, %d %v", a.m.state, a.m.cause, b.m.state, b.m.cause)
	}
	return eof - began
}

// TestTransferSurvives checks that all bytes arrive, in bounded time, over bad networks.
func TestTransferSurvives(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		what  string
		set   func(there, back *link)
		limit time.Duration
	}{
		{"a good network", func(there, back *link) {}, 3 * time.Second},
		{"loss of 0.1 %", func(there, back *link) { there.loss, back.loss = .001, .001 }, 8 * time.Second},
		{"loss of 1 %", func(there, back *link) { there.loss, back.loss = .01, .01 }, 20 * time.Second},
		{"loss of 5 %", func(there, back *link) { there.loss, back.loss = .05, .05 }, 60 * time.Second},
		{"loss of 30 %", func(there, back *link) { there.loss, back.loss = .3, .3 }, 30 * time.Minute},
		{"duplication", func(there, back *link) { there.double, back.double = .2, .2 }, 5 * time.Second},
		{"jitter", func(there, back *link) { there.jitter, back.jitter = 30*ms, 30*ms }, 60 * time.Second},
		{"small reordering", func(there, back *link) { there.jitter = 1 * ms }, 60 * time.Second},
		{"a black hole for packets above 1,400 bytes", func(there, back *link) { there.mtu, back.mtu = 1400, 1400 }, 3 * time.Second},
		{"a black hole for packets above 1,232 bytes", func(there, back *link) { there.mtu, back.mtu = 1232, 1232 }, 3 * time.Second},
		{"a short buffer", func(there, back *link) { there.rate, there.buffer = 10*mbit, 10_000 }, 10 * time.Second},
		{"a slow line", func(there, back *link) { there.rate, there.buffer = 1*mbit, 100_000 }, 30 * time.Second},
		{"all together", func(there, back *link) {
			*there = link{s: there.s, rate: 5 * mbit, buffer: 50_000, delay: 30 * ms, loss: .02, double: .05, jitter: 10 * ms, mtu: 1300}
			back.loss, back.double, back.jitter = .02, .05, 10*ms
		}, 5 * time.Minute},
	} {
		s := newSim(7)
		there, back := &link{s: s, delay: 20 * ms}, &link{s: s, delay: 20 * ms}
		c.set(there, back)
		a, b := pair(s, there, back)
		took := transfer(t, s, a, b, randomBytes(2<<20, 9), 2*time.Hour)
		t.Logf("%s: %v, %d packets, MTU %d", c.what, took, a.sent, a.m.mtu.size)
		if took > c.limit {
			t.Errorf("%s: the transfer took %v, want at most %v", c.what, took, c.limit)
		}
	}
}
