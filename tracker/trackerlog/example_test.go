package trackerlog_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/trackerlog"
)

// Log the downloads of a tracker, and report on the log. A tracker of package trackerserver
// calls Observe if the log is one of its observers.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "activity.log")
	l, err := trackerlog.Open(path, trackerlog.Options{Privacy: trackerlog.PrivacyNetwork})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	l.Observe(&tracker.Observation{
		Time: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), Name: "debian.iso",
		Request: &tracker.AnnounceRequest{InfoHash: spate.InfoHash([]byte("aaaaaaaaaaaaaaaaaaaa")), PeerID: spate.PeerID([]byte("-TR4060-abcdefghijkl")), Event: tracker.EventCompleted, Downloaded: 4_000_000},
		From:    netip.MustParseAddr("203.0.113.7"), Peer: netip.MustParseAddrPort("203.0.113.7:51413"), Counted: true,
	})
	stop()
	running.Wait() // Run has written all entries
	if err := l.Close(); err != nil {
		log.Fatal(err)
	}

	reporter := trackerlog.NewReporter()
	for _, f := range trackerlog.Files(path) { // with the older files of the log
		if err := reporter.ReadFile(f); err != nil {
			log.Fatal(err)
		}
	}
	r := reporter.Report()
	fmt.Println(r.All.Completed, "completed,", r.All.Downloaded, "bytes of", r.Torrents[0].Name)
	// Output: 1 completed, 4000000 bytes of debian.iso
}
