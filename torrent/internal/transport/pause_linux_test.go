package torrent

import (
	"net"
	"syscall"
	"testing"
)

// lowWater returns how many bytes make a socket readable.
func lowWater(t *testing.T, fd int) int {
	t.Helper()
	n, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The reader of a fast peer pauses until a read is worth it, and no longer than it
// may; one that comes when all places are taken, and one of a slow peer, do not.
func TestPause(t *testing.T) {
	t.Parallel()
	here, there := socketPair(t)
	raw, err := here.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		slots := make(chan struct{}, 1)
		p := pause{slots: slots}
		if p.after(int(fd), pauseFrom-1); p.holds {
			t.Error("a slow peer holds a place")
		}
		if _, err := there.Write(make([]byte, pauseBytes)); err != nil {
			t.Fatal(err)
		}
		p.after(int(fd), pauseFrom)
		if low := lowWater(t, int(fd)); !p.holds || low != pauseBytes {
			t.Errorf("a fast peer: holds a place: %v; %d bytes are waited for, want %d", p.holds, low, pauseBytes)
		}
		other := pause{slots: slots}
		if other.after(int(fd), pauseFrom); other.holds {
			t.Error("there are more places than slots")
		}
		for got, b := 0, make([]byte, pauseBytes); got < pauseBytes; {
			n, err := syscall.Read(int(fd), b)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		for p.holds { // a signal may end a pause early
			p.after(int(fd), 1) // of a peer that has fallen silent
		}
		if low := lowWater(t, int(fd)); low != 1 || len(slots) != 0 {
			t.Errorf("after the pause %d bytes are waited for, and %d places held", low, len(slots))
		}
	})
}

// socketPair returns both ends of a connection over TCP.
func socketPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}
