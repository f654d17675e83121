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

// TestBlocksOfSilentPeersGoToOthers checks that a peer that sends blocks and has nothing else to send is
// soon asked for the blocks that a silent peer was asked for, before the endgame.
func TestBlocksOfSilentPeersGoToOthers(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 4<<16, 1<<16)
	withSimSession(t, Options{}, func(sim *simSession) {
		added(sim.t, sim.s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
		silent := sim.dial(mi.Hash())
		silent.send(peerwire.AppendSimple(peerwire.AppendBytes(nil, peerwire.Bitfield, []byte{0xf0}), peerwire.Unchoke))
		first := silent.await(peerwire.Request).Index
		time.Sleep(500 * time.Millisecond)
		p := sim.dial(mi.Hash())
		p.send(peerwire.AppendSimple(peerwire.AppendBytes(nil, peerwire.Bitfield, []byte{0xc0 | 0x80>>first}), peerwire.Unchoke))
		start, got := time.Now(), map[int]bool{}
		for !got[int(first)<<16] || !got[int(first)<<16+1<<14] {
			r := p.await(peerwire.Request)
			off := int(r.Index)<<16 + int(r.Begin)
			p.send(append(peerwire.AppendPieceHeader(nil, r.Index, r.Begin, r.Length), data[off:off+int(r.Length)]...))
			got[off] = true
		}
		if d := time.Since(start); d > 3*time.Second {
			sim.t.Errorf("the blocks were requested after %v, want at most 3 s", d)
		}
	})
}
