package uplink

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// connected returns a TCP connection over loopback that is tracked as if it left the machine,
// and its other end.
func connected(t *testing.T, l *Line) (*net.TCPConn, *Socket, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	if l.Track(c) != nil {
		t.Error("a connection to this machine is limited")
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn), l.add(raw, false, 0), other
}

// TestSample checks that a line sees what its sockets send, and that it tunes them.
func TestSample(t *testing.T) {
	t.Parallel()
	l := NewLine()
	c, s, other := connected(t, l)
	now := time.Now()
	wait := Interval
	for range 2 * quietAfter {
		now = now.Add(Interval)
		wait = l.sample(now)
	}
	if wait != idleInterval {
		t.Errorf("the next sample of a quiet socket is after %v, want %v", wait, idleInterval)
	}
	const size = 1 << 20
	go c.Write(make([]byte, size))
	for got := 0; got < size; {
		n, err := other.Read(make([]byte, size))
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	if wait := l.sample(now.Add(time.Second)); wait != Interval {
		t.Errorf("the next sample of a busy socket is after %v, want %v", wait, Interval)
	}
	l.mu.Lock()
	if s.rate < size/2 || s.unsent == 0 {
		t.Errorf("after 1 MiB in a second the rate is %v, the limit of unsent bytes is %d", s.rate, s.unsent)
	}
	s.most = 10_000
	s.boundLocked()
	if s.unsent != s.most {
		t.Errorf("the limit of unsent bytes is %d, want the %d that the socket had before", s.unsent, s.most)
	}
	l.control.queue, l.control.limit = 0, 1e6
	l.paceLocked([]*Socket{s})
	l.mu.Unlock()
	s.raw.Control(func(fd uintptr) {
		if got, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE); got != 1.25e6 || err != nil {
			t.Errorf("the pace is %d, %v; want 1250000", got, err)
		}
	})
	go c.Write(make([]byte, size))
	for got := 0; got < size; {
		n, err := other.Read(make([]byte, size))
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	s.Close()
	s.Close()
	if l.leaving < size/2 {
		t.Errorf("a socket that was closed left %d bytes, want about %d", l.leaving, size)
	}
	if wait := l.sample(now.Add(2 * time.Second)); wait != 0 {
		t.Errorf("without sockets the next sample is after %v", wait)
	}
}

// TestUrgentDataIsNotPaced checks that the sockets that wait for the limit share it, and that a
// socket that does not, such as that of an announce, may send at once.
func TestUrgentDataIsNotPaced(t *testing.T) {
	t.Parallel()
	l := NewLine()
	var sockets []*Socket
	for i := range 3 {
		_, s, _ := connected(t, l)
		sockets = append(sockets, s)
		if i > 0 {
			s.Wait(t.Context(), 1)
		}
		block := make([]byte, 64<<10)
		s.raw.Write(func(fd uintptr) bool { // write until the buffers of both ends are full
			for {
				if _, err := unix.Write(int(fd), block); err != nil {
					return true
				}
			}
		})
	}
	now := time.Now()
	for range 2 {
		now = now.Add(Interval)
		l.sample(now)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.control.limit = 1e6
	l.paceLocked(sockets)
	if urgent, a, b := sockets[0].pace, sockets[1].pace, sockets[2].pace; urgent < 1e6 || a+b > 1.3e6 || a == 0 || b == 0 {
		t.Errorf("the urgent socket may send at %d, the others at %d and %d; want 1e6 for the one and for the others together", urgent, a, b)
	}
}

// TestPrivateSocketsAreNotLimited checks that sockets with private addresses are limited only
// if they are behind the line.
func TestPrivateSocketsAreNotLimited(t *testing.T) {
	t.Parallel()
	l := NewLine()
	l.limiter.SetRate(1000)
	near, far := l.add(nil, true, 0), l.add(nil, false, 0)
	if near.Rate() != 1000 || far.Rate() != 1000 {
		t.Errorf("limits %d and %d, want 1000", near.Rate(), far.Rate())
	}
	l.private.Store(false)
	if near.Rate() != 0 || far.Rate() != 1000 {
		t.Errorf("limits %d and %d, want none and 1000", near.Rate(), far.Rate())
	}
	var none *Socket
	if none.Rate() != 0 || none.Wait(t.Context(), 1<<40) != nil {
		t.Error("a socket without a line is limited")
	}
	none.Close()
}
