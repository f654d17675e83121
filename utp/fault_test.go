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
		{"jitter", func(there, back *link) { there.jitter, back.jitter = 30*ms, 30*ms }, 5 * time.Second},
		{"small reordering", func(there, back *link) { there.jitter = 1 * ms }, 5 * time.Second},
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

// TestWindowClosedForAMinute checks that a connection survives a reader that pauses, whose packet
// that opens the window again may be lost.
func TestWindowClosedForAMinute(t *testing.T) {
	t.Parallel()
	s := newSim(3)
	there, back := &link{s: s, delay: 10 * time.Millisecond}, &link{s: s, delay: 10 * time.Millisecond}
	a, b := pair(s, there, back)
	data := randomBytes(3<<20, 4)
	var got []byte
	rest := data
	a.onWake = func() {
		if a.m.state == open {
			rest = rest[a.m.write(a.now(), rest):]
		}
	}
	s.run(time.Minute, nil)
	if n, _ := b.m.readable(); n < b.m.r.limit-maxPacket || n > b.m.r.limit+maxPacket {
		t.Errorf("%d bytes wait for a reader that pauses, want the limit of %d", n, b.m.r.limit)
	}
	before := a.sent
	s.run(2*time.Minute, nil)
	if probes := a.sent - before; a.m.state != open || probes < 5 || probes > 60 {
		t.Errorf("the sender is in state %d (%v) and sent %d packets in two minutes", a.m.state, a.m.cause, probes)
	}
	back.loss = 1
	buf := make([]byte, len(data))
	got = append(got, buf[:b.m.r.read(buf)]...)
	b.flush()
	back.loss = 0
	b.onWake = func() { got = append(got, buf[:b.m.r.read(buf)]...) }
	began := s.now
	s.run(time.Minute, func() bool { return len(got) == len(data) })
	if !bytes.Equal(got, data) || s.now-began > 20*time.Second {
		t.Errorf("received %d bytes of %d after %v", len(got), len(data), s.now-began)
	}
}

// TestClockJumps checks that jumps and drifts of the peer's clock neither stop a transfer nor
// make it fill the queue for long.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what string
		step func(b *endpoint, second int)
	}{
		{"jumps forward", func(b *endpoint, second int) {
			if second%10 == 5 {
				b.clock += 3 * time.Hour
			}
		}},
		{"jumps by half a second", func(b *endpoint, second int) {
			if second%10 == 5 {
				b.clock += 500 * time.Millisecond
			}
		}},
		{"runs 0.1 % fast", func(b *endpoint, second int) { b.clock += time.Millisecond }},
		{"runs 0.1 % slow", func(b *endpoint, second int) { b.clock += -time.Millisecond }},
	} {
		b := newBottleneck(5, 4*mbit, 60*time.Millisecond, 400*time.Millisecond)
		x, y := pair(b.s, b.link, &link{s: b.s, delay: b.back})
		y.clock = time.Hour
		y.m.progressAt, y.m.sentAt = y.now(), y.now()
		bulk(x)
		worst := time.Duration(0)
		b.s.run(5*time.Second, nil)
		before := b.link.carried
		for i := range 40 {
			c.step(y, i)
			b.s.run(time.Second, nil)
			worst = max(worst, b.link.queue())
		}
		used := float64(b.link.carried-before) / (4 * mbit * 40)
		t.Logf("%s: %.3f, queue at most %v", c.what, used, worst)
		if used < .8 || worst > 250*time.Millisecond {
			t.Errorf("the peer's clock %s: the flow uses %.3f of the link, with a queue of %v", c.what, used, worst)
		}
	}
}

// TestForgedPacketsChangeNothing checks that a connection ignores ACKs of data that it never sent,
// data far ahead, and RESETs that fit no packet.
func TestForgedPacketsChangeNothing(t *testing.T) {
	t.Parallel()
	s := newSim(6)
	a, b := pair(s, &link{s: s, delay: time.Millisecond}, &link{s: s, delay: time.Millisecond})
	s.run(time.Second, nil)
	a.m.write(a.now(), make([]byte, 100_000))
	for b := a.m.next(a.now()); b != nil; b = a.m.next(a.now()) {
	}
	una, window, limit := a.m.s.una, a.m.congestion.window, a.m.s.window
	for _, h := range []header{
		{kind: stState, seq: a.m.r.ack + 1, ack: a.m.s.next, window: 1},
		{kind: stState, seq: a.m.r.ack + 1, ack: a.m.s.next + 20_000, window: 1},
		{kind: stState, seq: a.m.r.ack + 1, ack: a.m.s.una - 1 - 3*maxInFlight, window: 1},
		{kind: stData, seq: a.m.r.ack + 1, ack: a.m.s.next, window: 1, payload: []byte("forged")},
		{kind: stReset, seq: 1, ack: a.m.s.next},
		{kind: stReset, seq: 1, ack: a.m.s.next - 1 - 3*maxInFlight},
		{kind: stSyn, seq: a.m.r.ack + 100},
	} {
		a.m.handle(a.now(), &h)
		if n, _ := a.m.readable(); a.m.state != open || a.m.s.una != una || a.m.congestion.window != window || a.m.s.window != limit || n != 0 {
			t.Fatalf("the forged packet %+v had an effect", h)
		}
	}
	far := header{kind: stData, id: b.m.recvID, seq: b.m.r.ack + 1 + maxReorder, ack: b.m.s.next - 1, payload: []byte("far")}
	b.m.handle(b.now(), &far)
	if b.m.r.reordered != 0 {
		t.Error("a packet that is too far ahead was kept")
	}
	// A selective ACK of packets that were never sent.
	odd := header{kind: stState, seq: a.m.r.ack + 1, ack: a.m.s.una - 1, window: 1 << 20, sack: bytes.Repeat([]byte{0xff}, 255)}
	a.m.handle(a.now(), &odd)
	if a.m.s.inFlight < 0 || a.m.s.una != una {
		t.Errorf("%d bytes are in flight after a selective ACK of everything", a.m.s.inFlight)
	}
	real := header{kind: stReset, ack: a.m.s.una}
	a.m.handle(a.now(), &real)
	if a.m.state != ended || a.m.cause != errReset {
		t.Errorf("a RESET of a packet in flight left the state %d, %v", a.m.state, a.m.cause)
	}
}

// TestSilentPeerEndsTheConnection checks that a connection ends when its peer vanishes, and that
// an idle connection sends keepalives for ever.
func TestSilentPeerEndsTheConnection(t *testing.T) {
	t.Parallel()
	s := newSim(8)
	there := &link{s: s, delay: time.Millisecond}
	a, b := pair(s, there, &link{s: s, delay: time.Millisecond})
	s.run(10*time.Minute, nil)
	if a.m.state != open || b.m.state != open || a.sent < 20 || a.sent > 25 {
		t.Fatalf("after ten idle minutes the states are %d and %d, and %d packets were sent", a.m.state, b.m.state, a.sent)
	}
	there.loss = 1
	a.m.write(a.now(), []byte("anybody there?"))
	a.flush()
	s.run(40*time.Second, nil)
	if a.m.state != open {
		t.Errorf("the connection ended after less than 40 s: %v", a.m.cause)
	}
	s.run(30*time.Second, nil)
	if a.m.state != ended || a.m.cause != errLost {
		t.Errorf("after 70 s without an answer the state is %d, %v", a.m.state, a.m.cause)
	}
}
