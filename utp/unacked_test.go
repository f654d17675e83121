package utp

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestUnacked checks that Unacked counts what was written until the peer has acknowledged it, and
// that Stats says the same and more.
func TestUnacked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(10 * time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{})
		defer a.Close()
		defer b.Close()
		x, y := connect(t, a, b)
		defer y.Close()
		n.mu.Lock()
		n.drop = func([]byte, netip.AddrPort, netip.AddrPort) bool { return true }
		n.mu.Unlock()
		x.Write(make([]byte, 10_000))
		if got := x.Unacked(); got != 10_000 {
			t.Errorf("%d bytes are not acknowledged, want 10000", got)
		}
		time.Sleep(5 * time.Second) // the packets count as lost, and only some are sent again
		if got := x.Unacked(); got != 10_000 {
			t.Errorf("%d bytes are not acknowledged after a loss, want 10000", got)
		}
		if got := x.Stats(); got.Acked != 0 || got.Unacked != 10_000 || got.Unsent >= 10_000 {
			t.Errorf("Stats returns %+v before an ACK", got)
		}
		n.mu.Lock()
		n.drop = nil
		n.mu.Unlock()
		time.Sleep(30 * time.Second)
		if got := x.Unacked(); got != 0 {
			t.Errorf("%d bytes are not acknowledged after the peer got all, want none", got)
		}
		n.mu.Lock()
		n.delay = 50 * time.Millisecond
		n.mu.Unlock()
		for range 10 {
			x.Write(make([]byte, 1000))
			time.Sleep(time.Second)
		}
		got := x.Stats()
		got.Queue = got.Queue.Truncate(time.Millisecond) // the clocks round to microseconds
		if want := (Stats{Acked: 20_000, MinRTT: 20 * time.Millisecond, Queue: 40 * time.Millisecond}); got != want {
			t.Errorf("Stats returns %+v, want %+v", got, want)
		}
	})
}
