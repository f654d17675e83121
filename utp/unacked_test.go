package utp

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestUnacked checks that Unacked counts what was written until the peer has acknowledged it.
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
		n.mu.Lock()
		n.drop = nil
		n.mu.Unlock()
		time.Sleep(30 * time.Second)
		if got := x.Unacked(); got != 0 {
			t.Errorf("%d bytes are not acknowledged after the peer got all, want none", got)
		}
	})
}
