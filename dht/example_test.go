package dht_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log"
	"net"
	"net/netip"
	"sync"

	"spate"
	"spate/dht"
)

// startNode starts a node on loopback that knows another one, and returns it and its address.
func startNode(ctx context.Context, running *sync.WaitGroup, known ...netip.AddrPort) (*dht.Node, netip.AddrPort) {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	// A node of the internet would start from Options.Saved, the result of Save in its last run,
	// and from Options.Bootstrap.
	n, err := dht.New(dht.Options{Conns: []net.PacketConn{c}, Known: known})
	if err != nil {
		log.Fatal(err)
	}
	running.Go(func() { n.Run(ctx) })
	return n, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Announce a peer of a torrent, and find it from another node.
func ExampleNode_Announce() {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	first, addr := startNode(ctx, &running)
	second, _ := startNode(ctx, &running, addr)
	<-second.Ready()

	hash := spate.InfoHash([]byte("aaaaaaaaaaaaaaaaaaaa"))
	r, err := second.Announce(ctx, hash, dht.Announcement{Port: 6881, Seed: true}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("stored:", r.Stored > 0)
	<-first.Ready()
	third, _ := startNode(ctx, &running, addr)
	<-third.Ready()
	found, err := third.Peers(ctx, hash, nil)
	fmt.Println(found.Peers, err)
	// Output:
	// stored: true
	// [127.0.0.1:6881] <nil>
}

// Sign an item that only the holder of the key can replace (BEP 44).
func ExampleSignItem() {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // a real key is random
	salt, hash := []byte("news"), spate.InfoHash([]byte("aaaaaaaaaaaaaaaaaaaa"))
	item, err := dht.SignItem(key, salt, 1, dht.TorrentValue(hash)) // names a torrent (BEP 46)
	if err != nil {
		log.Fatal(err)
	}
	// Node.Put stores it, and Node.Get finds it by this target.
	fmt.Println(item.Target() == dht.ItemTarget(key.Public().(ed25519.PublicKey), salt))
	named, err := dht.ParseTorrentValue(item.Value)
	fmt.Println(named == hash, err)
	// Output:
	// true
	// true <nil>
}
