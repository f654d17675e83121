package daemon

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spate/publish"
	"spate/torrent"
)

// TestSeedReachesOwnSignalsBehindHTTPS checks that the seed of a site that speaks HTTPS, at an address
// that this machine cannot connect to, waits for browsers at its own WebSocket tracker, also if the
// torrent names that tracker, once, and leaves when the publisher stops.
func TestSeedReachesOwnSignalsBehindHTTPS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key, file := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "a.iso")
	writeCertificate(t, cert, key, time.Now())
	if err := os.WriteFile(file, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	base, _ := url.Parse("https://192.0.2.1") // RFC 5737: no machine
	p, err := OpenPublisher(t.Context(), testEnv(), PublisherConfig{
		State: filepath.Join(dir, "state"), Listen: ListenConfig{HTTP: "127.0.0.1:0"}, PublicURL: base, HTTPS: HTTPSConfig{CertFile: cert, KeyFile: key},
		Session:  SessionConfig{Options: torrent.Options{Bind: loopback}, AnyPort: true, NoLSD: true, NoDHT: true},
		Trackers: [][]string{{"wss://192.0.2.1/announce"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	work := make(chan error, 1)
	wg.Go(func() {
		p.Serve(ctx, func(ctx context.Context) error {
			work <- p.Publish(ctx, PublishRequest{Paths: []string{file}}, func(string, *publish.Release) error { return nil })
			<-ctx.Done()
			return nil
		})
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
		p.Close()
	})
	if err := <-work; err != nil {
		t.Fatal(err)
	}
	all := p.Session().Torrents()
	if len(all) != 1 {
		t.Fatalf("%d torrents", len(all))
	}
	late, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	until(t, late, func() bool {
		return slices.ContainsFunc(all[0].Stats().Trackers, func(s torrent.TrackerStats) bool {
			return strings.HasPrefix(s.URL, "ws") && !s.LastAnnounce.IsZero() && s.Err == nil
		})
	})
	for _, s := range all[0].Stats().Trackers {
		if strings.HasPrefix(s.URL, "wss://192.0.2.1") {
			t.Errorf("the seed announces to %s beside its own tracker", s.URL)
		}
	}
	if n := p.trackerNode.server.Counts().Sockets; n != 1 {
		t.Errorf("%d WebSocket clients at the tracker, want the seed", n)
	}
	if s, ok := p.Swarm(all[0].InfoHash()); !ok || s.Seeders != 1 {
		t.Errorf("the tracker counts %+v", s)
	}
}
