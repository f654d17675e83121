package swarm_test

import (
	"fmt"
	"net/netip"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

func Example() {
	table, err := swarm.New(swarm.Options{})
	if err != nil {
		panic(err)
	}
	defer table.Close()

	now := time.Now()
	torrent := spate.InfoHash{0xd1, 0x5e}
	var reply swarm.Reply // reused for the next announce
	for i, left := range []int64{0, 1 << 20} {
		r := swarm.Request{
			InfoHash: torrent,
			PeerID:   spate.NewPeerID(),
			Addr:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 6881),
			Seed:     left == 0,
			Event:    tracker.EventStarted,
			NumWant:  tracker.DefaultNumWant,
			Want4:    true,
		}
		if err := table.Announce(now, &r, &reply); err != nil {
			panic(err)
		}
	}
	peers, err := spate.AppendPeers4(nil, reply.Peers4)
	fmt.Println(reply.Seeders, reply.Leechers, peers, err)
	// Output: 1 1 [192.0.2.1:6881] <nil>
}
