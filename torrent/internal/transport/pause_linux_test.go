package transport

import (
	"syscall"
	"testing"
)

// lowWater returns the number of bytes that must arrive before the socket is readable.
func lowWater(t *testing.T, fd int) int {
	t.Helper()
	n, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReaderOfFastPeerPauses checks that the reader of a fast peer pauses until pauseBytes
// have arrived, and for at most pauseMost. The reader of a slow peer does not pause, and
// neither does a reader that finds every slot taken.
func TestReaderOfFastPeerPauses(t *testing.T) {
	t.Parallel()
	here, there := tcpPair(t)
	raw, err := here.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		slots := make(chan struct{}, 1)
		p := pause{slots: slots}
		p.after(int(fd), pauseFrom-1)
		if p.holds {
			t.Error("the reader of a slow peer holds a slot")
		}
		if _, err := there.Write(make([]byte, pauseBytes)); err != nil {
			t.Fatal(err)
		}
		p.after(int(fd), pauseFrom)
		if low := lowWater(t, int(fd)); !p.holds || low != pauseBytes {
			t.Errorf("a fast peer: holds a slot: %v; it waits for %d bytes, want %d", p.holds, low, pauseBytes)
		}
		other := pause{slots: slots}
		other.after(int(fd), pauseFrom)
		if other.holds {
			t.Error("two readers hold the only slot")
		}
		for got, b := 0, make([]byte, pauseBytes); got < pauseBytes; {
			n, err := syscall.Read(int(fd), b)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		for p.holds { // a signal may end a pause early
			p.after(int(fd), 1) // the peer sends nothing more
		}
		if low := lowWater(t, int(fd)); low != 1 || len(slots) != 0 {
			t.Errorf("after the pause the reader waits for %d bytes, and %d slots are held", low, len(slots))
		}
	})
}
