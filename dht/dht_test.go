package dht

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"spate"
)

// hang ends tests that would wait for ever.
const hang = 2 * time.Minute

// run runs a node with a socket on loopback until the test ends, and returns the node and its
// address.
func run(t *testing.T, address string, o Options) (*Node, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Skip("this machine has no such address: ", err)
	}
	o.Conns = []net.PacketConn{c}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return n, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func ready(t *testing.T, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		select {
		case <-n.Ready():
		case <-time.After(hang):
			t.Fatalf("a node does not find the others: %+v", n.Status())
		}
	}
}

// TestNodesFindPeers runs three nodes on loopback over each address family: one announces a
// peer, another finds it, scrapes it and samples its info-hash.
func TestNodesFindPeers(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), hang)
			defer cancel()
			first, at := run(t, address, Options{})
			second, _ := run(t, address, Options{Bootstrap: []string{at.String()}})
			third, _ := run(t, address, Options{Known: []netip.AddrPort{at}})
			ready(t, first, second, third)
			hash := spate.InfoHash{1, 2, 3}
			res, err := second.Announce(ctx, hash, Announcement{Port: 7001, Seed: true}, nil)
			if err != nil || res.Stored == 0 {
				t.Fatalf("the announce returned %+v, %v", res, err)
			}
			want := netip.AddrPortFrom(at.Addr(), 7001)
			var found []netip.AddrPort
			res, err = third.Peers(ctx, hash, func(p netip.AddrPort) { found = append(found, p) })
			if err != nil || !slices.Equal(found, []netip.AddrPort{want}) || !slices.Equal(res.Peers, found) {
				t.Errorf("the search found %v and returned %+v, %v", found, res, err)
			}
			scrape, err := third.Scrape(ctx, hash)
			if err != nil || scrape.Seeds != 1 || scrape.Leechers != 0 {
				t.Errorf("the scrape returned %+v, %v", scrape, err)
			}
			sample, err := third.Sample(ctx, hash)
			if err != nil || !slices.Equal(sample.InfoHashes, []spate.InfoHash{hash}) || sample.Sampled == 0 || sample.Interval <= 0 {
				t.Errorf("the sample has %+v, %v", sample, err)
			}
			if st := first.Status(); st.Families[0].Peers == 0 || st.QueriesReceived == 0 || st.BytesSent == 0 {
				t.Errorf("the status of the first node is %+v", st)
			}
		})
	}
}

// TestSavedNodesLeadBack checks that a node starts from what it saved.
func TestSavedNodesLeadBack(t *testing.T) {
	t.Parallel()
	_, at := run(t, "127.0.0.1:0", Options{})
	before, _ := run(t, "127.0.0.1:0", Options{Known: []netip.AddrPort{at}})
	ready(t, before)
	after, _ := run(t, "127.0.0.1:0", Options{Saved: before.Save()})
	ready(t, after)
	for _, bad := range []string{"x", "d6:nodes617:0123456789abcdef0e", "d5:nodes5:abcdee", "d5:nodes0:e "} {
		if _, err := New(Options{Saved: []byte(bad), Send: func([]Packet) {}, IPv4: true}); err == nil {
			t.Errorf("New accepted the saved nodes %q", bad)
		}
	}
}

// TestSearchEnds checks the errors of searches without nodes, of a cancelled context, and after
// the end of Run.
func TestSearchEnds(t *testing.T) {
	t.Parallel()
	n, _ := run(t, "127.0.0.1:0", Options{})
	if _, err := n.Peers(t.Context(), spate.InfoHash{}, nil); !errors.Is(err, ErrNoNodes) {
		t.Errorf("a search without nodes returned %v", err)
	}
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Peers(ctx, spate.InfoHash{}, nil); !errors.Is(err, context.Canceled) && !errors.Is(err, ErrNoNodes) {
		t.Errorf("a cancelled search returned %v", err)
	}
}

// TestSharedSocket runs two nodes that exchange packets through Send and Receive.
func TestSharedSocket(t *testing.T) {
	t.Parallel()
	addrs := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1001"), netip.MustParseAddrPort("127.0.0.1:1002")}
	var nodes [2]*Node
	type packet struct {
		to   int
		data []byte
	}
	wire := make(chan packet, 1000)
	for i := range nodes {
		var err error
		nodes[i], err = New(Options{IPv4: true, Send: func(packets []Packet) {
			for _, p := range packets {
				wire <- packet{1 - i, slices.Clone(p.Data)}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, n := range nodes {
		wg.Go(func() { n.Run(ctx) })
	}
	wg.Go(func() {
		for {
			select {
			case p := <-wire:
				nodes[p.to].Receive([]Packet{{Addr: addrs[1-p.to], Data: p.data}})
			case <-ctx.Done():
				return
			}
		}
	})
	nodes[0].AddNode(addrs[1])
	ready(t, nodes[:]...)
}

// TestNewRejectsBadOptions checks the errors of New.
func TestNewRejectsBadOptions(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func([]Packet) {}
	for name, o := range map[string]Options{
		"no socket":          {},
		"two kinds":          {Send: send, Conns: []net.PacketConn{c}},
		"no family":          {Send: send},
		"twice one family":   {Conns: []net.PacketConn{c, c}},
		"bootstrap no port":  {Conns: []net.PacketConn{c}, Bootstrap: []string{"example.org"}},
		"negative max peers": {Conns: []net.PacketConn{c}, MaxPeers: -1},
	} {
		if n, err := New(o); err == nil || n != nil {
			t.Errorf("%s: New returned %v, %v", name, n, err)
		}
	}
}
