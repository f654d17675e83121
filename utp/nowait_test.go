package utp

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestTryReturnsAtOnce checks that TryRead and TryWrite return at once while there is nothing to
// read and no room to write, and that the deadline ends the calls that wait.
func TestTryReturnsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(10 * time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{ReceiveWindow: 100_000})
		defer a.Close()
		defer b.Close()
		x, y := connect(t, a, b)
		defer y.Close()
		began, p := time.Now(), make([]byte, 8<<20)
		if n, err := x.TryRead(p); n != 0 || err != nil {
			t.Errorf("TryRead of nothing: %d, %v, want 0 and no error", n, err)
		}
		if n := x.TryWrite(p); n == 0 || n == len(p) {
			t.Errorf("TryWrite wrote %d bytes, want as many as the send buffer holds", n)
		}
		if n := x.TryWrite(p); n != 0 {
			t.Errorf("TryWrite wrote %d bytes although the send buffer is full", n)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the calls waited for %v", took)
		}
		x.SetDeadline(began.Add(time.Minute))
		done := make(chan error, 2)
		go func() { done <- x.WriteBuffers(&net.Buffers{p, p}) }()
		go func() { done <- x.WaitReadable(func() bool { return false }) }()
		for range 2 {
			if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a call that waits returned %v at the deadline", err)
			}
		}
		if n := x.TryWrite(p[:1]); n != 0 {
			t.Errorf("TryWrite wrote %d bytes after the deadline", n)
		}
	})
}
