package torrent

import (
	"testing"

	"spate/peerwire"
	"spate/storage"
)

// TestLeftAlone has one of two peers of the only seed leave: the other has nobody
// to pass pieces on to, and is told of all of them, asked for or not.
func TestLeftAlone(t *testing.T) {
	t.Parallel()
	const pieces = 400
	data, mi := noiseTorrent(t, pieces<<14, 1<<14)
	s := testSession(t, Options{})
	if _, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}); err != nil {
		t.Fatal(err)
	}
	first := dialFoe(t, s.Addr(), mi.Hash(), everything())
	first.await(peerwire.HaveAll)
	second := dialFoe(t, s.Addr(), mi.Hash(), everything())
	second.await(peerwire.HaveNone)
	first.c.Close()
	for told := map[uint32]bool{}; len(told) < pieces; {
		told[second.await(peerwire.Have).Index] = true
	}
}
