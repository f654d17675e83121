package utp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestReaderOfFastPeerGathers checks that all bytes of a fast peer arrive once and in order although
// packets are lost, that TryRead waits for more of them after it has read many at once, and that a peer
// that is fast no more makes it wait only once.
func TestReaderOfFastPeerGathers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{})
		defer a.Close()
		defer b.Close()
		x, y := connect(t, a, b)
		defer x.Close()
		defer y.Close()
		n.mu.Lock()
		packets := 0
		n.drop = func([]byte, netip.AddrPort, netip.AddrPort) bool { packets++; return packets%1000 == 0 }
		n.mu.Unlock()
		data := randomBytes(20<<20, 1)
		go x.Write(data)
		var got []byte
		buf := make([]byte, 256<<10)
		err := y.WaitReadable(func() bool {
			for {
				k, err := y.TryRead(buf)
				if err != nil {
					t.Error(err)
					return true
				}
				if k == 0 {
					return len(got) == len(data)
				}
				got = append(got, buf[:k]...)
				if len(got) == len(data) {
					return true
				}
			}
		})
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("read %d bytes, %v, want %d, or the bytes differ", len(got), err, len(data))
		}
		n.mu.Lock()
		n.drop = nil
		n.mu.Unlock()
		y.mu.Lock()
		y.gatherer.fast = false
		y.mu.Unlock()
		x.Write(data[:gatherFrom])
		time.Sleep(time.Second) // all of it has come
		if k, err := y.TryRead(buf); k != gatherFrom || err != nil {
			t.Fatalf("TryRead: %d, %v, want %d bytes that wait", k, err, gatherFrom)
		}
		const parts, part = 20, 1000
		for i := range parts {
			time.AfterFunc(time.Duration(i)*gatherMost/(2*parts), func() { x.Write(data[:part]) })
		}
		if k, err := y.TryRead(buf); k != parts*part || err != nil {
			t.Errorf("TryRead of a fast peer: %d, %v, want the %d bytes that come during the wait", k, err, parts*part)
		}
		y.mu.Lock()
		y.gatherer.fast = true
		y.mu.Unlock()
		for _, want := range []time.Duration{gatherMost, 0} {
			began := time.Now()
			if k, err := y.TryRead(buf); k != 0 || err != nil {
				t.Errorf("TryRead of nothing: %d, %v, want 0 and no error", k, err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("TryRead of nothing took %v, want %v", took, want)
			}
		}
	})
}

// TestGatheringEnds checks that a reader that gathers returns what has arrived, and the reason for
// which nothing more will.
func TestGatheringEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(x, y *Conn)
		want error
	}{
		"end of the stream": {func(x, y *Conn) { x.Close() }, io.EOF},
		"close":             {func(x, y *Conn) { y.Close() }, net.ErrClosed},
		"deadline":          {func(x, y *Conn) { y.SetDeadline(time.Now()) }, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newTestNet(0)
				a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{})
				defer a.Close()
				defer b.Close()
				x, y := connect(t, a, b)
				y.mu.Lock()
				y.gatherer.fast = true
				y.mu.Unlock()
				began, p := time.Now(), make([]byte, 100)
				time.AfterFunc(time.Millisecond/2, func() { x.Write([]byte("hello")) })
				time.AfterFunc(time.Millisecond, func() { c.end(x, y) })
				k, err := y.TryRead(p)
				if string(p[:k]) != "hello" || err != nil {
					t.Errorf("TryRead returned %q, %v, want hello", p[:k], err)
				}
				if took := time.Since(began); took != time.Millisecond {
					t.Errorf("TryRead took %v, want 1ms", took)
				}
				if k, err := y.TryRead(p); k != 0 || !errors.Is(err, c.want) {
					t.Errorf("TryRead after the end returned %d, %v, want %v", k, err, c.want)
				}
			})
		})
	}
}
