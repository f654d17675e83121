package uplink

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"spate/internal/sockqueue"
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
	return c.(*net.TCPConn), l.add(&Socket{raw: raw}), other
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
	near, far := l.add(&Socket{local: true}), l.add(&Socket{})
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

// reporter is a PathReporter with a path that a test sets.
type reporter struct {
	net.Conn
	path sockqueue.Path
}

func (r *reporter) Path() sockqueue.Path { return r.path }
func (r *reporter) RemoteAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 1} }

// channel is a reporter without a remote address, like a WebRTC data channel.
type channel struct {
	reporter
	from netip.AddrPort
}

func (c *channel) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "webrtc"} }
func (c *channel) From() netip.AddrPort { return c.from }

// TestChannelWithoutAddressIsLimited checks that a connection that nobody can dial counts by the
// address to which its packets go.
func TestChannelWithoutAddressIsLimited(t *testing.T) {
	t.Parallel()
	l := NewLine()
	for from, want := range map[string]struct{ tracked, local bool }{
		"203.0.113.1:1": {true, false}, "192.168.1.2:1": {true, true}, "127.0.0.1:1": {false, false}, "": {false, false},
	} {
		c := &channel{}
		c.from, _ = netip.ParseAddrPort(from)
		s := l.Track(c)
		if (s != nil) != want.tracked || s != nil && s.local != want.local {
			t.Errorf("%q: %+v", from, s)
		}
		s.Close()
	}
}

// wrapped is a connection above another one.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

// TestPathReporterIsLimited checks that what a connection sends that is no socket of the system
// counts, that a queue that it sees limits the line, and that sockets leave it its part.
func TestPathReporterIsLimited(t *testing.T) {
	t.Parallel()
	l := NewLine()
	r := &reporter{}
	s := l.Track(wrapped{wrapped{r}})
	if s == nil {
		t.Fatal("the connection is not tracked")
	}
	s.Wait(t.Context(), 1)
	r.path = sockqueue.Path{RTT: 80 * time.Millisecond, MinRTT: 20 * time.Millisecond, Queued: 200_000, Unsent: 100_000}
	now := time.Now()
	for range 2 * longSamples {
		now = now.Add(Interval)
		r.path.Acked += 100_000
		r.path.Queued += 10_000 // more is written than sent
		r.path.Unsent += 10_000
		l.sample(now)
	}
	if got := l.State(); got.Rate != 1_000_000 || got.Limit == 0 || got.Limit > 900_000 {
		t.Errorf("a connection that sends 1 MB/s behind a queue of 60 ms leads to %+v, want a lower limit", got)
	}
	if got, want := s.Rate(), l.limiter.Rate(); got != want || got == 0 {
		t.Errorf("the limit of the connection is %d bytes/s, want the %d of the line", got, want)
	}
	_, tcp, _ := connected(t, l)
	l.mu.Lock()
	l.control.limit = 2e6
	tcp.sender = sender{wrote: 1, held: true}
	other := &Socket{line: l, raw: tcp.raw, sender: tcp.sender}
	l.paceLocked([]*Socket{s, tcp, other})
	if tcp.pace != 500_000 {
		t.Errorf("the pace of one of two sockets is %d, want half of the 1 MB/s that the connection leaves", tcp.pace)
	}
	l.mu.Unlock()
	s.Close()
	if l.leaving != uint64(r.path.Queued) {
		t.Errorf("a closed connection leaves %d bytes, want %d", l.leaving, r.path.Queued)
	}
}
