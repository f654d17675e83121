package discovery_test

import (
	"fmt"
	"net/netip"

	"spate"
	"spate/discovery"
)

// client is a client that only prints what sources find. A session of package torrent is a
// client that uses the peers.
type client struct{ swarms []discovery.Swarm }

func (c client) Swarms() []discovery.Swarm { return c.swarms }
func (c client) AdvertisedPort() uint16    { return 6881 }
func (c client) PeerPort() uint16          { return 6881 }

func (c client) Found(infoHash spate.InfoHash, peer discovery.Candidate, source discovery.Source) bool {
	fmt.Printf("%v found %v for %x\n", source, peer.Addr, infoHash[:2])
	return true
}

// A source of peers asks the client for its swarms and passes on the peers that it finds.
func ExampleSwarms() {
	var swarms discovery.Swarms = client{[]discovery.Swarm{
		{InfoHash: spate.InfoHash{0x0a, 0x0b}, NeedsPeers: true},
		{InfoHash: spate.InfoHash{0x0c, 0x0d}, Private: true},
	}}
	for _, s := range swarms.Swarms() {
		if s.Private {
			continue // only trackers may know a private torrent (BEP 27)
		}
		peer := discovery.Candidate{Addr: netip.MustParseAddrPort("203.0.113.7:6881"), Seed: true}
		swarms.Found(s.InfoHash, peer, discovery.Other)
	}
	// Output: other found 203.0.113.7:6881 for 0a0b
}
