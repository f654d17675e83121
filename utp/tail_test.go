package utp

import (
	"testing"
	"time"
)

// TestLostTailIsSentAgainSoon measures how long the last packets of a message are late if they are
// lost, with no packet after them.
func TestLostTailIsSentAgainSoon(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		delay time.Duration // one way
		lost  int           // packets at the end
		limit time.Duration // until all bytes have arrived
	}{
		{5 * ms, 1, 140 * ms},
		{20 * ms, 1, 210 * ms},
		{20 * ms, 3, 300 * ms},
		{50 * ms, 1, 360 * ms},
		{50 * ms, 3, 550 * ms},
	} {
		s := newSim(3)
		there, back := &link{s: s, delay: c.delay}, &link{s: s, delay: c.delay}
		a, b := pair(s, there, back)
		received := drain(b)
		s.run(time.Second, nil)
		sent := 0
		send := func(n int) {
			sent += n
			a.m.write(a.now(), make([]byte, n))
			a.flush()
		}
		for range 20 {
			send(5000)
			s.run(200*ms, nil)
		}
		began, window := s.now, a.m.congestion.window
		send(2 * a.m.s.packet)
		there.loss = 1
		send(c.lost * a.m.s.packet)
		there.loss = 0
		s.run(time.Minute, func() bool { return *received == sent })
		took := s.now - began
		t.Logf("RTT %v, %d lost: %v", 2*c.delay, c.lost, took)
		if *received != sent || took > c.limit {
			t.Errorf("RTT %v, %d lost: %d of %d bytes arrived after %v, want at most %v", 2*c.delay, c.lost, *received, sent, took, c.limit)
		}
		s.run(5*time.Second, nil)
		if c.lost == 1 && a.m.congestion.window < window {
			t.Errorf("RTT %v: the window shrank from %v to %v", 2*c.delay, window, a.m.congestion.window)
		}
	}
}

// TestSlowAckIsNoTailLoss checks that a peer that is late with its ACK gets the last packet once
// more, which neither counts as reordering nor changes the window.
func TestSlowAckIsNoTailLoss(t *testing.T) {
	t.Parallel()
	s := newSim(3)
	there, back := &link{s: s, delay: 20 * time.Millisecond}, &link{s: s, delay: 20 * time.Millisecond}
	a, b := pair(s, there, back)
	received := drain(b)
	s.run(time.Second, nil)
	a.m.write(a.now(), make([]byte, 5000))
	a.flush()
	s.run(time.Second, nil)
	before := a.sent
	a.m.write(a.now(), make([]byte, 100))
	there.delay = 165 * time.Millisecond // the ACK comes 5 ms after the packet was sent again
	a.flush()
	there.delay = 20 * time.Millisecond
	s.run(time.Minute, nil)
	if *received != 5100 || a.sent-before > 5 || a.m.tolerance != minTolerance {
		t.Errorf("received %d bytes, sent %d packets, and the tolerance is %d", *received, a.sent-before, a.m.tolerance)
	}
}
