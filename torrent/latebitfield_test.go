package torrent

import (
	"net"
	"testing"

	"spate/bitfield"
	"spate/peerwire"
	"spate/storage"
)

// TestLateBitfieldOfAria2 checks that a session accepts the messages of aria2, which after
// have none sends a have, then a bitfield in place of many have messages, and have all at
// the end.
func TestLateBitfieldOfAria2(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 100<<14, 1<<14)
	s := testSession(t, Options{})
	tor, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryLike(data)})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the torrent downloads", func() bool { return tor.Stats().State == StateDownloading })
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
	say := func(b []byte) {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	say(b)
	told := func() float64 {
		if p := tor.PeerStats(); len(p) == 1 {
			return p[0].Have
		}
		return -1
	}
	until(t, "the peer is known to have a quarter", func() bool { return told() == 0.25 })
	say(peerwire.AppendSimple(nil, peerwire.HaveAll))
	until(t, "the peer is known to have all", func() bool { return told() == 1 })
}
