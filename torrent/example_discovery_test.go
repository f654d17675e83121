package torrent_test

import (
	"context"
	"fmt"
	"log"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"spate"
	"spate/discovery"
	"spate/torrent"
)

// board holds the addresses of clients for other clients.
type board struct {
	mu    sync.Mutex
	peers map[spate.InfoHash]map[netip.AddrPort]bool
}

// boardSource is a source of peers. For each swarm that a client is in, it adds the address
// of the client to a board, and tells the client the other addresses.
type boardSource struct {
	board  *board
	swarms discovery.Swarms
	ip     netip.Addr
}

// Run exchanges addresses until ctx is done.
func (b *boardSource) Run(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, swarm := range b.swarms.Swarms() {
			if swarm.Private {
				continue // only trackers may know a private torrent
			}
			own := netip.AddrPortFrom(b.ip, b.swarms.AdvertisedPort())
			for _, addr := range b.board.exchange(swarm.InfoHash, own) {
				b.swarms.Found(swarm.InfoHash, discovery.Candidate{Addr: addr}, discovery.Other)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// exchange adds the address of a peer to a swarm and returns all addresses of the swarm.
func (b *board) exchange(infoHash spate.InfoHash, own netip.AddrPort) []netip.AddrPort {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.peers[infoHash] == nil {
		b.peers[infoHash] = map[netip.AddrPort]bool{}
	}
	b.peers[infoHash][own] = true
	return slices.Collect(maps.Keys(b.peers[infoHash]))
}

// Find peers in a way of your own: a source needs only package discovery.
func ExampleSession_Found() {
	mi, seed := startSeed()
	defer seed.Close()
	s := startSession(torrent.Options{})
	defer s.Close()

	ctx, stop := context.WithCancel(context.Background())
	var sources sync.WaitGroup
	defer sources.Wait()
	defer stop()
	meeting := &board{peers: map[spate.InfoHash]map[netip.AddrPort]bool{}}
	for _, swarms := range []discovery.Swarms{seed, s} {
		source := &boardSource{meeting, swarms, localhost}
		sources.Go(func() { source.Run(ctx) })
	}

	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	t, err := s.Add(mi, torrent.AddOptions{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	if err := t.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.Stats().State)
	// Output: seeding
}
