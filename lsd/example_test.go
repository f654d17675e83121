package lsd_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"

	"spate"
	"spate/discovery"
	"spate/lsd"
)

// Find the peers of a client on the local network. swarms is the client, such as a
// *torrent.Session.
func ExampleNew() {
	run := func(ctx context.Context, swarms discovery.Swarms) error {
		s, err := lsd.New(swarms, lsd.Options{})
		if errors.Is(err, lsd.ErrLoopback) {
			return nil // there is no network to look at
		}
		if err != nil {
			return err
		}
		return s.Run(ctx) // tells swarms the peers until ctx is done
	}
	_ = run

	_, err := lsd.New(nil, lsd.Options{Bind: netip.MustParseAddr("127.0.0.1")})
	fmt.Println(err)
	// Output: lsd: bound to loopback, which sends no multicast packets to the network
}

// Messages of BEP 14 name the swarms of a client and its port.
func ExampleParse() {
	hash, err := spate.ParseInfoHash("9a7cdcc218085d64ed176ddfd5bb8260dc1ef509")
	if err != nil {
		log.Fatal(err)
	}
	sent := lsd.Message{Host: lsd.Group4.String(), Port: 6881, Hashes: []spate.InfoHash{hash}, Cookie: "me"}
	m, err := lsd.Parse(sent.Append(nil))
	fmt.Println(m.Port, m.Hashes, err)
	_, err = lsd.Parse([]byte("NOTIFY * HTTP/1.1\r\n\r\n"))
	fmt.Println(errors.Is(err, lsd.ErrMessage))
	// Output:
	// 6881 [9a7cdcc218085d64ed176ddfd5bb8260dc1ef509] <nil>
	// true
}
