package spate_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"spate/maker"
	"spate/metainfo"
	"spate/torrent"
	"spate/tracker/swarm"
	"spate/tracker/trackerclient"
	"spate/tracker/trackerserver"
)

// This example runs a tracker, a seed and a download in one process. In practice they run on
// three machines.
func Example() {
	localhost := netip.MustParseAddr("127.0.0.1")
	dir, err := os.MkdirTemp("", "example")
	check(err)
	defer os.RemoveAll(dir)

	// Start the tracker.
	table, err := swarm.New(swarm.Options{})
	check(err)
	defer table.Close()
	tracker, err := trackerserver.New(table, trackerserver.Options{})
	check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	web := &http.Server{Handler: tracker}
	go web.Serve(l)
	defer web.Shutdown(context.Background()) // waits for requests that are being answered

	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait() // the sessions save their state before they return
	defer stop()

	// Make the torrent and seed it.
	path := filepath.Join(dir, "verse.txt")
	verse := bytes.Repeat([]byte("A river in spate is a torrent.\n"), 5000)
	check(os.WriteFile(path, verse, 0o666))
	made, err := maker.Make(ctx, path, maker.Options{
		PieceLength: 16 << 10,
		Announce:    [][]string{{"http://" + l.Addr().String() + "/announce"}},
	})
	check(err)
	origin := session(ctx, &running, localhost)
	seeded, err := origin.Add(made, torrent.AddOptions{Dir: dir})
	check(err)
	check(seeded.Wait(ctx))
	file, err := made.Bytes()
	check(err)

	// Read the .torrent file, find peers through its tracker and download the data.
	mi, err := metainfo.Parse(file)
	check(err)
	downloads := filepath.Join(dir, "downloads")
	check(os.Mkdir(downloads, 0o777))
	t, err := session(ctx, &running, localhost).Add(mi, torrent.AddOptions{Dir: downloads})
	check(err)
	check(t.Wait(ctx))
	got, err := os.ReadFile(filepath.Join(downloads, "verse.txt"))
	check(err)
	fmt.Printf("%d lines of %s, %v\n", bytes.Count(got, []byte("\n")), t.Stats().Name, t.Stats().State)
	// Output: 5000 lines of verse.txt, seeding
}

// session starts a session that announces to trackers and runs until ctx is done.
func session(ctx context.Context, running *sync.WaitGroup, bind netip.Addr) *torrent.Session {
	trackers, err := trackerclient.New(trackerclient.Options{})
	check(err)
	s, err := torrent.NewSession(torrent.Options{Announcer: trackers, Bind: bind})
	check(err)
	running.Go(func() { s.Run(ctx) })
	return s
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
