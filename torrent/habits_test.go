package torrent

import (
	"net"
	"testing"
	"time"

	"spate/bitfield"
	"spate/peerwire"
	"spate/storage"
)

// TestBitfieldLater has a peer that tells of new pieces the way aria2 does: after
// have none, a have, and a bitfield in place of many more.
func TestBitfieldLater(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 100<<14, 1<<14)
	s := testSession(t, Options{})
	tor, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	if err != nil {
		t.Fatal(err)
	}
	<-tor.Done()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h := peerwire.Handshake{InfoHash: mi.Hash()}
	h.Reserved.SetFast()
	b := h.Append(nil)
	b = peerwire.AppendSimple(b, peerwire.HaveNone)
	b = peerwire.AppendIndexed(b, peerwire.Have, 3)
	have := bitfield.New(100)
	for i := range 25 {
		have.Set(i)
	}
	b = peerwire.AppendBytes(b, peerwire.Bitfield, have.Bytes())
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	told := func() float64 {
		if p := tor.PeerStats(); len(p) == 1 {
			return p[0].Have
		}
		return -1
	}
	deadline := time.Now().Add(10 * time.Second)
	for told() != 0.25 {
		if time.Now().After(deadline) {
			t.Fatalf("the peer is known to have %v, want a quarter", told())
		}
		time.Sleep(time.Millisecond)
	}
}
