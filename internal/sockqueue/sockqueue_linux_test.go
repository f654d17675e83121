package sockqueue

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// connected returns the two ends of a TCP connection. The listener has a limit of unsent
// bytes.
func connected(t *testing.T, limit int) (client, server *net.TCPConn) {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := LimitUnsent(l.(*net.TCPListener), limit); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// TestAcceptedConnectionsInheritTheLimit checks that it is enough to set the limit on a
// listener.
func TestAcceptedConnectionsInheritTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 12345
	_, server := connected(t, limit)
	raw, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
		if got != limit || err != nil {
			t.Errorf("limit of an accepted connection: %d, %v; want %d", got, err, limit)
		}
	})
}

// TestUnacked checks the number for a connection whose other end does not read, and for a
// closed connection.
func TestUnacked(t *testing.T) {
	t.Parallel()
	_, server := connected(t, 64<<10)
	raw, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	unacked := NewUnacked(raw)
	if n := unacked.Bytes(); n != 0 {
		t.Errorf("Unacked is %d before the first write, want 0", n)
	}
	block := make([]byte, 64<<10)
	raw.Write(func(fd uintptr) bool { // write until the buffers of both ends are full
		for {
			if _, err := unix.Write(int(fd), block); err != nil {
				return true
			}
		}
	})
	if n := unacked.Bytes(); n <= 0 {
		t.Errorf("Unacked is %d although the other end does not read", n)
	}
	if p, ok := ReadPath(raw); !ok || p.Acked == 0 || p.RTT <= 0 || p.MinRTT <= 0 || p.MinRTT > p.RTT*100 {
		t.Errorf("ReadPath returns %+v, %v after some bytes were acknowledged", p, ok)
	}
	server.Close()
	if p, ok := ReadPath(raw); ok {
		t.Errorf("ReadPath returns %+v after the connection was closed", p)
	}
	if n := unacked.Bytes(); n != -1 {
		t.Errorf("Unacked is %d after the connection was closed, want -1", n)
	}
}
