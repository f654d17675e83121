//go:build unix

package torrent

import (
	"testing"

	"spate/peerwire"
)

// TestBytesBehindHandshakeAreReplayed checks that a connection of which bytes were read behind the
// handshake handles them first, and that its socket is the one below, which reads without waiting.
func TestBytesBehindHandshakeAreReplayed(t *testing.T) {
	t.Parallel()
	c, peer := unixConn(t, Options{})
	begun := &begunConn{Conn: peer, begin: []byte("begin")}
	c = newConn(c.t, begun, peerwire.Handshake{InfoHash: c.t.hash}, c.t.s.Addr(), true)
	if string(c.rx.replay) != "begin" {
		t.Errorf("the connection handles %q first, want the bytes that were read", c.rx.replay)
	}
	if !c.sock.CanTryWrite() {
		t.Error("the socket of the connection waits")
	}
}
