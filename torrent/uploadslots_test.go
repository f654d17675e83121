package torrent

import (
	"testing"
	"time"

	"spate/peerwire"
	"spate/storage"
)

// TestSlowPeerKeepsSlotUntilNeeded checks that an interested peer that is unchoked and sends
// no request keeps its slot until another peer wants it.
func TestSlowPeerKeepsSlotUntilNeeded(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 64<<14, 1<<14)
	withSimSession(t, Options{UploadSlots: 1}, func(sim *simSession) {
		added(t, sim.s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
		hello := peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.HaveNone), peerwire.Interested)
		slow := sim.dial(mi.Hash())
		slow.send(hello)
		slow.await(peerwire.Unchoke)
		if slow.hears(peerwire.Choke, 45*time.Second) {
			t.Error("choked although no other peer wanted the slot")
		}
		eager := sim.dial(mi.Hash())
		eager.send(hello)
		eager.await(peerwire.Unchoke)
		for i := range 40 {
			eager.send(peerwire.AppendBlock(nil, peerwire.Request, uint32(i), 0, 1<<14))
			eager.await(peerwire.Piece)
			time.Sleep(time.Second / 2)
		}
		if !slow.hears(peerwire.Choke, time.Second) {
			t.Error("kept the slot that a peer which takes data needs")
		}
	})
}
