package trackerstats_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"

	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/trackerlog"
	"spate/tracker/trackerserver"
	"spate/tracker/trackerstats"
)

// A tracker with statistics and a download log. A program would serve the handler, and run
//
//	server.Run(ctx)
//	stats.Run(ctx, server)
//	log.Run(ctx)
func Example() {
	dir, err := os.MkdirTemp("", "tracker")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	log, err := trackerlog.Open(filepath.Join(dir, "downloads.log"), trackerlog.Options{})
	if err != nil {
		panic(err)
	}
	defer log.Close()
	table, err := swarm.New(swarm.Options{})
	if err != nil {
		panic(err)
	}
	defer table.Close()

	stats := trackerstats.New(trackerstats.Options{Title: "Example", LogLost: log.Lost})
	server, err := trackerserver.New(table, trackerserver.Options{
		Observers: []func(*tracker.Observation){stats.Observe, log.Observe},
	})
	if err != nil {
		panic(err)
	}
	handler := server.Handler(stats.Handler(server))

	announce := "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-TR4050-abcdefghijkl&port=6881&uploaded=0&downloaded=0&left=1"
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", announce, nil))

	r := stats.Report(server)
	fmt.Println(r.Peers.Leechers, "leecher with", r.Clients[0].Name)
	// Output: 1 leecher with Transmission
}
