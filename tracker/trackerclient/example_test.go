package trackerclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/trackerclient"
	"spate/tracker/trackerserver"
)

// Announce to a tracker and scrape it. The tracker is one of package trackerserver in this
// process; the client takes http://, https:// and udp:// URLs.
func Example() {
	table, err := swarm.New(swarm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer table.Close()
	server, err := trackerserver.New(table, trackerserver.Options{})
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(server)
	defer web.Close()

	c, err := trackerclient.New(trackerclient.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx, url := context.Background(), web.URL+"/announce"
	hash := spate.InfoHash([]byte("aaaaaaaaaaaaaaaaaaaa"))
	for i, left := range []int64{0, 1000} { // a seed, then a leecher
		r, err := c.Announce(ctx, url, &tracker.AnnounceRequest{
			InfoHash: hash, PeerID: spate.PeerID([]byte(fmt.Sprintf("-XX0100-%012d", i))), Port: uint16(6881 + i),
			Left: left, Event: tracker.EventStarted, NumWant: tracker.DefaultNumWant,
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Complete, "seeds", r.Incomplete, "leechers", r.Peers)
	}
	entries, err := c.Scrape(ctx, url, []spate.InfoHash{hash})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(entries[0].Complete, "seeds")
	// Output:
	// 1 seeds 0 leechers []
	// 1 seeds 1 leechers [127.0.0.1:6881]
	// 1 seeds
}

// dead is an [trackerclient.Announcer] whose first tracker does not answer.
type dead struct{}

func (dead) Announce(_ context.Context, url string, _ *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	if url == "http://a.example/announce" {
		return nil, errors.New("no answer")
	}
	return &tracker.AnnounceResponse{Complete: 3}, nil
}

// The tiers of a torrent (BEP 12): the next tracker is asked if one fails.
func ExampleTiers() {
	t := trackerclient.NewTiers([][]string{{"http://a.example/announce"}, {"udp://b.example:6969"}}, nil)
	r, url, err := t.Announce(context.Background(), dead{}, &tracker.AnnounceRequest{})
	fmt.Println(r.Complete, url, err)
	// Output: 3 udp://b.example:6969 <nil>
}
