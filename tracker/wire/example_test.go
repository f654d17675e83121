package wire_test

import (
	"errors"
	"fmt"
	"log"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// Encode an announce as a client does, and decode it as a tracker does.
func ExampleParseAnnounceQuery() {
	req := tracker.AnnounceRequest{
		InfoHash: spate.InfoHash([]byte("aaaaaaaaaaaaaaaaaaaa")), PeerID: spate.PeerID([]byte("-XX0100-abcdefghijkl")),
		Port: 6881, Left: 1000, Event: tracker.EventStarted, NumWant: 30,
	}
	query := wire.AppendAnnounceQuery(nil, &req)
	var got tracker.AnnounceRequest
	if err := wire.ParseAnnounceQuery(query, &got); err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Port, got.Left, got.Event, got.NumWant)
	err := wire.ParseAnnounceQuery([]byte("info_hash=short"), &got)
	fmt.Println(errors.Is(err, wire.ErrInfoHash))
	// Output:
	// 6881 1000 started 30
	// true
}

// Decode the answer of a tracker.
func ExampleParseAnnounceAnswer() {
	r, err := wire.ParseAnnounceAnswer([]byte("d8:completei2e10:incompletei1e8:intervali1800e5:peers6:\xcb\x00\x71\x07\x1a\xe1e"))
	fmt.Println(r.Interval, r.Complete, r.Peers, err)
	// Output: 30m0s 2 [203.0.113.7:6881] <nil>
}
