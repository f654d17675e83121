package daemon

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"spate"
	"spate/dht"
	"spate/torrent"
)

// TestTrackerPortAnswersDHT checks that a node that knows only the port of the UDP tracker finds the
// peers that others announced to the node of the publisher, if and only if TrackerDHT is set, and
// that torrents then name that port.
func TestTrackerPortAnswersDHT(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		p, node := publisherWithDHT(t, on)
		at, err := netip.ParseAddrPort(p.UDPAddr())
		if err != nil {
			t.Fatal(err)
		}
		base, _ := url.Parse("http://files.example.org:6969")
		p.address.Store(&publicAddress{base: base, announce: [][]string{{"http://files.example.org:6969/announce"}, {"udp://files.example.org:6970/announce"}, {"udp://other.example:1"}}, own: 2})
		if got := p.dhtNode(); (got == "files.example.org:6970") != on || got == "" {
			t.Errorf("TrackerDHT %v: torrents name the node %q", on, got)
		}
		if !on {
			if got := p.conf.TrackerNode.Server.DHT; got != nil {
				t.Error("the tracker answers the DHT without the setting")
			}
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		node.AddNode(at)
		ready(t, node)
		if _, err := node.Announce(ctx, spate.InfoHash{1}, dht.Announcement{Port: 7}, nil); err != nil {
			t.Fatal(err)
		}
		res, err := node.Peers(ctx, spate.InfoHash{1}, nil)
		if err != nil || len(res.Peers) != 1 || res.Peers[0].Port() != 7 {
			t.Errorf("the search found %v (%v)", res.Peers, err)
		}
		for _, f := range p.session.nodes.node.Status().Families {
			if !f.IPv6 && f.Peers != 1 {
				t.Errorf("the publisher stores %d peers", f.Peers)
			}
		}
	}
}

func ready(t *testing.T, n *dht.Node) {
	t.Helper()
	select {
	case <-n.Ready():
	case <-time.After(patience):
		t.Fatalf("the node found no other: %+v", n.Status())
	}
}

// publisherWithDHT runs a publisher until the test ends, and returns it and another node of the DHT,
// which neither knows nor is known to the publisher.
func publisherWithDHT(t *testing.T, trackerDHT bool) (*Publisher, *dht.Node) {
	t.Helper()
	state := t.TempDir()
	base, _ := url.Parse("http://127.0.0.1:1")
	p, err := OpenPublisher(t.Context(), testEnv(), PublisherConfig{
		State: state, Listen: ListenConfig{HTTP: "127.0.0.1:0"}, PublicURL: base, TrackerDHT: trackerDHT,
		TrackerNode: TrackerNodeConfig{ActivityLog: filepath.Join(state, "activity.log")},
		Session:     SessionConfig{Options: torrent.Options{Bind: loopback}, AnyPort: true, NoLSD: true, DHTBootstrap: []string{"127.0.0.1:9"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		p.Serve(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil })
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
		p.Close()
	})
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, err := dht.New(dht.Options{Conns: []net.PacketConn{c}})
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { n.Run(ctx) })
	return p, n
}
