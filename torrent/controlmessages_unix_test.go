//go:build unix

package torrent

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"spate/peerwire"
	"spate/storage"
)

// TestReaderWritesControlMessages checks that control messages that the reader writes itself
// arrive once and in order, including messages that the socket does not take at once.
func TestReaderWritesControlMessages(t *testing.T) {
	t.Parallel()
	c, peer := unixConn(t, Options{})
	var want []byte
	first := c.queueHaves(&want, 0, 1)
	if first == nil {
		t.Fatal("the reader writes nothing itself")
	}
	if second := c.queueHaves(&want, 1, 1); second != nil {
		t.Error("two goroutines write at a time")
	}
	c.say(first)
	c.writers.Wait()

	const many = 100_000 // have messages: 900 KB, more than the socket takes
	c.say(c.queueHaves(&want, 2, many))
	c.t.mu.Lock()
	if !c.tx.writing {
		t.Error("the socket took everything: the test shows nothing")
	}
	c.t.mu.Unlock()
	c.arrives(t, peer, want)
}

// TestWriterWritesControlMessages checks that the reader leaves all messages to a writer if
// the transport cannot write without waiting.
func TestWriterWritesControlMessages(t *testing.T) {
	t.Parallel()
	c, peer := unixConn(t, Options{portableIO: true})
	var want []byte
	if say := c.queueHaves(&want, 0, 10); say != nil {
		t.Error("the reader writes to a connection that may make it wait")
	}
	c.arrives(t, peer, want)
}

// unixConn returns a connection of a seed over a socket, and the peer's end of it.
func unixConn(t *testing.T, opt Options) (*conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	data, mi := noiseTorrent(t, 1<<20, 16<<10)
	tor := added(t, testSession(t, opt), mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	return newConn(tor, nc, peerwire.Handshake{InfoHash: mi.Hash()}, tor.s.Addr(), true), peer
}

// queueHaves queues n have messages, appends them to want, and returns the messages that the
// reader should write.
func (c *conn) queueHaves(want *[]byte, from, n int) []byte {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	for i := range n {
		c.tx.control = peerwire.AppendIndexed(c.tx.control, peerwire.Have, uint32(from+i))
		*want = peerwire.AppendIndexed(*want, peerwire.Have, uint32(from+i))
	}
	return c.controlLocked(time.Now())
}

// arrives checks that the peer reads exactly want.
func (c *conn) arrives(t *testing.T, peer net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	peer.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("other messages arrived (%v)", err)
	}
	c.writers.Wait()
}
