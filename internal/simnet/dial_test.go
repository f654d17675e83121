package simnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestDialErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{})
		a := n.Host(ip(1), Link{Latency: 10 * time.Millisecond})
		b := n.Host(ip(2), Link{Latency: 40 * time.Millisecond})
		start := time.Now()
		if _, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("no listener: %v", err)
		}
		about(t, "refusal", time.Since(start), 100*time.Millisecond)
		for _, c := range []struct {
			network, address string
			want             error
		}{
			{"tcp", "10.9.9.9:80", syscall.EHOSTUNREACH},
			{"tcp", "no.such.name:80", nil},
			{"tcp", "10.0.0.2", nil},
			{"tcp6", "10.0.0.2:1", nil},
			{"udp", "10.0.0.2:1", nil},
			{"tcp", "10.0.0.2:99999", nil},
		} {
			_, err := a.DialContext(t.Context(), c.network, c.address)
			var op *net.OpError
			if !errors.As(err, &op) || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s %s: %v", c.network, c.address, err)
			}
		}
		b.SetDown(true)
		start = time.Now()
		if _, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:80"); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("host is down: %v", err)
		}
		about(t, "time-out", time.Since(start), 127*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start = time.Now()
		_, err := a.DialContext(ctx, "tcp", "10.0.0.2:80")
		var ne net.Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("with a limit: %v", err)
		}
		about(t, "dial", time.Since(start), 5*time.Second)
		time.Sleep(time.Hour)
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(a.ports) != 0 {
			t.Errorf("ports left: %v", a.ports)
		}
	})
}

func TestListen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := New(Options{Backlog: 1})
		a, b := n.Host(ip(1), Link{}), n.Host(ip(2), Link{Latency: time.Millisecond})
		b.AddAddr(netip.MustParseAddr("2001:db8::2"))
		l, err := b.Listen(t.Context(), "tcp", "10.0.0.2:6881")
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range []string{"10.0.0.2:6881", ":6881", "0.0.0.0:6881", "[::]:6881"} {
			if _, err := b.Listen(t.Context(), "tcp", addr); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("%s: %v", addr, err)
			}
		}
		if _, err := b.Listen(t.Context(), "tcp", "10.0.0.1:1"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("address of another host: %v", err)
		}
		lo, err := b.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.DialContext(t.Context(), "tcp", at(b, lo)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("loopback from outside: %v", err)
		}
		if c, err := b.DialContext(t.Context(), "tcp", lo.Addr().String()); err != nil {
			t.Errorf("loopback: %v", err)
		} else if s, err := lo.Accept(); err != nil || s.RemoteAddr().String() != c.LocalAddr().String() {
			t.Errorf("loopback: %v %v, %v", s.RemoteAddr(), c.LocalAddr(), err)
		}
		if _, err := a.DialContext(t.Context(), "tcp", "[2001:db8::2]:6881"); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("a host without IPv6: %v", err)
		}

		// A dial that finds the backlog full tries again, as in TCP.
		c, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:6881")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		time.AfterFunc(500*time.Millisecond, func() { _, _ = l.Accept() })
		if _, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:6881"); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < time.Second {
			t.Errorf("a dial over the backlog took %v", d)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		done := make(chan error)
		go func() { _, err := lo.Accept(); done <- err }()
		synctest.Wait()
		l.Close()
		lo.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept while closing: %v", err)
		}
		if _, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:6881"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := b.Listen(t.Context(), "tcp", "10.0.0.2:6881"); err != nil {
			t.Errorf("listen again: %v", err)
		}
		_ = c
	})
}
