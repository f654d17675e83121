//go:build unix

package torrent

import (
	"bytes"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"spate/peerwire"
	"spate/storage"
)

// What the reader says itself, and what its socket did not take of that, arrives
// once and in order.
func TestReaderSays(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	data, mi := noiseTorrent(t, 1<<20, 16<<10)
	tor := added(t, testSession(t, Options{}), mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	c := newConn(tor, nc, peerwire.Handshake{InfoHash: mi.Hash()}, tor.s.Addr(), true)

	// A connection that is no socket leaves all to a writer.
	var want []byte
	put := func(from, n int) []byte {
		tor.mu.Lock()
		defer tor.mu.Unlock()
		for i := range n {
			c.out = peerwire.AppendIndexed(c.out, peerwire.Have, uint32(from+i))
			want = peerwire.AppendIndexed(want, peerwire.Have, uint32(from+i))
		}
		return c.controlLocked(time.Now())
	}
	if say := put(0, 1); say != nil {
		t.Error("the reader writes to what is no socket")
	}
	c.writers.Wait()

	if c.raw, err = nc.(syscall.Conn).SyscallConn(); err != nil {
		t.Fatal(err)
	}
	say := put(1, 1)
	if say == nil {
		t.Fatal("the reader writes nothing itself")
	}
	if other := put(2, 1); other != nil {
		t.Error("two write at a time")
	}
	c.say(say)
	c.writers.Wait()

	const many = 100_000 // 900 KB, more than the socket takes
	say = put(3, many)
	c.say(say)
	tor.mu.Lock()
	if !c.writing {
		t.Error("the socket took all: the test shows nothing")
	}
	tor.mu.Unlock()
	got := make([]byte, len(want))
	peer.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("other messages arrived (%v)", err)
	}
	c.writers.Wait()
}
