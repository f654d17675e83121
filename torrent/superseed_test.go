package torrent

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// TestOnlyPeerIsToldOfAllPieces checks that the only seed tells a peer of all pieces while it
// is the only one, because the peer can pass pieces on to no other peer: the first peer, and
// a peer whose only other peer has left.
func TestOnlyPeerIsToldOfAllPieces(t *testing.T) {
	t.Parallel()
	const pieces = 400
	data, mi := noiseTorrent(t, pieces<<14, 1<<14)
	s := testSession(t, Options{})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	toldOfAll := func(p *scriptedPeer) {
		for told := map[uint32]bool{}; len(told) < pieces; {
			told[p.await(peerwire.Have).Index] = true
		}
	}
	first := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	toldOfAll(first)
	second := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	second.await(peerwire.HaveNone)
	first.c.Close()
	toldOfAll(second)
}

// TestFirstPiecesAreShownInOrder checks that a peer is shown the beginning of the data first,
// for readers of files that are still downloading.
func TestFirstPiecesAreShownInOrder(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 400<<14, 1<<14)
	s := testSession(t, Options{})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	p := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	p.send(peerwire.AppendSimple(nil, peerwire.HaveNone))
	p.send(peerwire.AppendSimple(nil, peerwire.Interested))
	for want := range uint32(4) {
		if got := p.await(peerwire.Have).Index; got != want {
			t.Fatalf("piece %d is shown, want %d", got, want)
		}
	}
}

// TestWriterOfGonePeerChangesNothing checks that the last blocks of a connection that is gone
// do not count for another peer that already has the same handle.
func TestWriterOfGonePeerChangesNothing(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 100<<14, 1<<14)
	s := testSession(t, Options{})
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast()).await(peerwire.HaveNone)
	old := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	old.await(peerwire.HaveNone)
	tor.mu.Lock()
	gone := tor.peerConns.byID[1]
	tor.mu.Unlock()
	old.c.Close()
	until(t, "the peer is gone", func() bool { return tor.Stats().Peers == 1 })
	next := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	next.await(peerwire.HaveNone)
	next.send(peerwire.AppendSimple(nil, peerwire.HaveNone))
	shown := next.await(peerwire.Have).Index
	tor.mu.Lock()
	defer tor.mu.Unlock()
	if tor.peerConns.byID[1] == nil || tor.peerConns.byID[1] == gone {
		t.Fatal("the new peer has another handle")
	}
	gone.writtenLocked([]upload{{piece: shown, length: 1 << 14}})
	if tor.pick.PeerHas(1, int(shown)) {
		t.Error("blocks of the peer that is gone count for the new peer")
	}
}

// TestReturningSeed checks that super-seeding goes on when a seed is seen after this side has sent as
// much as the torrent: a peer with every piece that connects, or one that a tracker counts. Before
// that, such a seed has its data from elsewhere, and peers are told of all pieces.
func TestReturningSeed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sent  bool // a peer has downloaded the torrent before
		first peerwire.ID
	}{"after a copy": {true, peerwire.HaveNone}, "before": {false, peerwire.HaveAll}} {
		for _, tracker := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, tracker %t", name, tracker), func(t *testing.T) {
				t.Parallel()
				data, mi := noiseTorrent(t, 100<<14, 1<<14)
				withSimSession(t, Options{}, func(sim *simSession) {
					tor := added(t, sim.s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
					if c.sent {
						sim.download(mi, data)
					}
					if tracker {
						tor.foundSeeds(2)
					} else {
						seed := sim.dial(mi.Hash())
						seed.send(peerwire.AppendSimple(nil, peerwire.HaveAll))
						seed.dropped()
					}
					p := sim.dial(mi.Hash())
					p.await(c.first)
				})
			})
		}
	}
}

// download downloads the torrent of the session in a session of another host.
func (sim *simSession) download(mi *metainfo.MetaInfo, data []byte) {
	host := sim.host()
	s, err := NewSession(Options{Network: host, Bind: host.Addr(), PeerPort: 6881, Seed: 2})
	if err != nil {
		sim.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(sim.t.Context())
	var run sync.WaitGroup
	defer run.Wait()
	defer cancel()
	run.Go(func() { s.Run(ctx) })
	tor := added(sim.t, s, mi, AddOptions{Storage: storage.NewMemoryLike(data), Peers: []netip.AddrPort{sim.s.Addr()}})
	if err := tor.Wait(ctx); err != nil {
		sim.t.Fatal(err)
	}
}
