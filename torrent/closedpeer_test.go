package torrent

import (
	"net"
	"testing"
	"time"

	"spate"
	"spate/peerwire"
	"spate/storage"
)

// TestPeerThatClosesAfterMessagesIsRemoved checks that a session removes a peer at
// once if the peer's last messages and the end of its connection arrive together.
// Otherwise super-seeding would count it as a leecher that downloads no piece.
func TestPeerThatClosesAfterMessagesIsRemoved(t *testing.T) {
	data, mi := noiseTorrent(t, 1<<20, 64<<10)
	seed := testSession(t, Options{})
	tor, err := seed.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	if err != nil {
		t.Fatal(err)
	}
	hash := mi.Hash()
	for i := range 40 {
		nc, err := net.Dial("tcp", seed.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		hs := peerwire.Handshake{InfoHash: hash, PeerID: spate.PeerID{byte(i), 1}}
		if _, err := nc.Write(hs.Append(nil)); err != nil {
			t.Fatal(err)
		}
		// After its handshake the seed waits for messages.
		answer := make([]byte, peerwire.HandshakeLen)
		if _, err := nc.Read(answer); err != nil {
			t.Fatal(err)
		}
		nc.(*net.TCPConn).Write(peerwire.AppendSimple(nil, peerwire.Interested))
		nc.(*net.TCPConn).CloseWrite()
		defer nc.Close()
	}
	deadline := time.After(patience)
	for tor.Stats().Peers > 0 {
		select {
		case <-deadline:
			t.Fatalf("%d peers are still connected, want 0", tor.Stats().Peers)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
