package trackerserver_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/trackerserver"
)

// A tracker that serves one torrent and returns its origin in every response. A program
// would run the tracker with
//
//	http.Serve(server.Listener(l), server.Handler(site))
//	server.ServeUDP(ctx, conn)
//	server.Run(ctx)
func Example() {
	table, err := swarm.New(swarm.Options{})
	if err != nil {
		panic(err)
	}
	defer table.Close()
	server, err := trackerserver.New(table, trackerserver.Options{OnlyAllowed: true})
	if err != nil {
		panic(err)
	}
	ih := spate.InfoHash([]byte("aaaaaaaaaaaaaaaaaaaa"))
	if err := server.Allow(ih, tracker.Note{Name: "release.iso"}); err != nil {
		panic(err)
	}
	if err := table.Pin(ih, netip.MustParseAddrPort("192.0.2.1:6881")); err != nil {
		panic(err)
	}

	w := httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequest("GET", "/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa", nil))
	fmt.Println(w.Body)
	// Output: d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1e10:downloadedi0e10:incompletei0eee5:flagsd20:min_request_intervali300eee
}
