package torrent

import (
	"testing"
	"testing/synctest"
	"time"

	"spate/peerwire"
	"spate/storage"
)

// TestStalledPeerGivesBlocksBack checks that other peers may get the blocks of a peer that stops sending after
// half a minute although it was the only one that sent, so that nothing arrives any more.
func TestStalledPeerGivesBlocksBack(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 512<<14, 1<<14)
	withSimSession(t, Options{}, func(sim *simSession) {
		tor := added(sim.t, sim.s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
		p := sim.dial(mi.Hash())
		p.send(peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.HaveAll), peerwire.Unchoke))
		for range 200 {
			time.Sleep(50 * time.Millisecond)
			r := p.await(peerwire.Request)
			off := int(r.Index)<<14 + int(r.Begin)
			p.send(append(peerwire.AppendPieceHeader(nil, r.Index, r.Begin, r.Length), data[off:off+int(r.Length)]...))
		}
		pending := func() (n int) {
			synctest.Wait()
			tor.mu.Lock()
			defer tor.mu.Unlock()
			for _, c := range tor.peerConns.byID {
				if c != nil {
					n += tor.pick.PendingOf(c.id)
				}
			}
			return n
		}
		time.Sleep(snubbedAfter - 2*time.Second)
		if pending() == 0 {
			sim.t.Fatal("the peer has no blocks to give back")
		}
		time.Sleep(4 * time.Second)
		if n := pending(); n > 1 { // one request finds out whether it sends again
			sim.t.Errorf("the peer that stopped sending still keeps %d blocks from others", n)
		}
	})
}
