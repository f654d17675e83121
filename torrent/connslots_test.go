package torrent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/peerwire"
	"spate/storage"
	"spate/torrent/internal/transport"
)

// TestSilentConnectionsOfOneNetwork checks that many connections without a handshake from
// one network do not close the connections from other networks.
func TestSilentConnectionsOfOneNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Session{handshakes: newHandshakes()}
		closed := map[netip.Addr]int{}
		begin := func(a netip.Addr) *awaitedHandshake {
			time.Sleep(time.Millisecond)
			return s.beginHandshake(netip.AddrPortFrom(a, 1), func() error { closed[a]++; return nil })
		}
		honest, office := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
		first := begin(honest)
		for range 20 {
			begin(office)
		}
		flood := netip.MustParseAddr("203.0.113.1")
		for range 10 * maxHandshakes {
			begin(flood)
		}
		if closed[honest]+closed[office] > 0 || closed[flood] == 0 {
			t.Errorf("closed: %v", closed)
		}
		s.endHandshake(first)
		handshakes, _ := s.Pools()
		if handshakes.Held >= maxHandshakes || handshakes.Evicted != uint64(closed[flood]) {
			t.Errorf("%+v", handshakes)
		}
		// Of many networks with one connection each, the oldest connection is closed.
		for i := range 2 * maxHandshakes {
			begin(netip.AddrFrom4([4]byte{10, byte(i / 200), byte(i % 200), 1}))
		}
		if closed[flood] < 10*maxHandshakes-1 {
			t.Errorf("%d connections from the network with many connections are closed", closed[flood])
		}
	})
}

// TestInactivePeerIsDroppedForOtherNetwork checks which peer a full torrent drops for a new
// peer: a peer that exchanges no data, if its network afterwards has at least as many
// connections as the network of the new peer.
func TestInactivePeerIsDroppedForOtherNetwork(t *testing.T) {
	t.Parallel()
	_, mi := noiseTorrent(t, 1<<20, 16<<10)
	tor := added(t, testSession(t, Options{}), mi, AddOptions{Storage: storage.NewMemory(1 << 20)})
	now := time.Now()
	peers := map[string]*conn{}
	tor.mu.Lock()
	defer tor.mu.Unlock()
	was := tor.peerConns.byID
	defer func() { tor.peerConns.byID = was }()
	for _, p := range []struct {
		addr string
		age  time.Duration
		rate float64
	}{
		{"192.0.2.1:1", time.Minute, 5000}, {"192.0.2.2:1", time.Minute, 0}, {"192.0.2.3:1", 2 * time.Minute, 100}, {"192.0.2.4:1", time.Second, 0},
		{"198.51.100.1:1", time.Hour, 0}, {"203.0.113.1:1", time.Hour, 0}, {"203.0.113.2:1", time.Hour, 0},
	} {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		c := &conn{t: tor, sock: transport.New(ours, transport.Options{}), peer: remotePeer{addr: netip.MustParseAddrPort(p.addr), since: now.Add(-p.age)}}
		c.req.meter.rate = p.rate
		peers[p.addr] = c
		tor.peerConns.byID = append(tor.peerConns.byID, c)
	}
	for _, c := range []struct {
		newcomer string
		gone     string // the peer that is dropped, if any
	}{
		{"192.0.2.9:1", ""}, {"203.0.113.9:1", "192.0.2.3:1"}, {"198.51.100.9:1", "203.0.113.1:1"}, {"10.0.0.1:1", "192.0.2.2:1"},
		{"10.0.1.1:1", "198.51.100.1:1"}, {"203.0.113.8:1", ""}, {"127.0.0.1:1", "203.0.113.2:1"}, {"10.0.2.1:1", ""},
	} {
		dropped := tor.dropForNetworkLocked(now, netip.MustParseAddrPort(c.newcomer))
		var gone string
		for addr, p := range peers {
			if p.closing.Load() {
				gone = addr
				if !errors.Is(p.end.reason, errNetworkFull) {
					t.Errorf("%s: %v", addr, p.end.reason)
				}
				delete(peers, addr)
			}
		}
		if gone != c.gone || dropped != (gone != "") {
			t.Errorf("for %s %q was dropped, want %q", c.newcomer, gone, c.gone)
		}
		// The new peer joins.
		tor.peerConns.byID = append(tor.peerConns.byID, &conn{t: tor, peer: remotePeer{addr: netip.MustParseAddrPort(c.newcomer), since: now}})
		if !dropped {
			tor.peerConns.byID = tor.peerConns.byID[:len(tor.peerConns.byID)-1]
		}
		tor.peerConns.byID = slices.DeleteFunc(tor.peerConns.byID, func(o *conn) bool { return o != nil && o.closing.Load() })
	}
}

// TestSlotIsTakenFromAnotherTorrent checks that a session whose connection slots are all
// held by useless peers of one torrent drops one of them for a peer of another torrent.
func TestSlotIsTakenFromAnotherTorrent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		world := simnet.New(simnet.Options{Seed: 1})
		addr := netip.MustParseAddr("10.0.0.1")
		s, err := NewSession(Options{Network: world.Host(addr, simnet.Link{}), Bind: addr, PeerPort: 6881, Seed: 1, MaxConns: 3})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { s.Run(ctx) })
		var hashes []spate.InfoHash
		for i := range 2 {
			data, mi := noiseTorrent(t, (1+i)<<18, 16<<10)
			if _, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true}); err != nil {
				t.Fatal(err)
			}
			hashes = append(hashes, mi.Hash())
		}
		time.Sleep(time.Second)
		// connect reports whether a connection stays open after its handshake.
		connect := func(host byte, hash spate.InfoHash) bool {
			h := world.Host(netip.AddrFrom4([4]byte{10, 0, 1, host}), simnet.Link{})
			c, err := h.DialContext(ctx, "tcp", "10.0.0.1:6881")
			if err != nil {
				t.Fatal(err)
			}
			context.AfterFunc(ctx, func() { c.Close() })
			hs := peerwire.Handshake{Reserved: extendedAndFast(), InfoHash: hash, PeerID: spate.NewPeerID()}
			c.Write(hs.Append(nil))
			if _, err := readHandshake(c); err != nil {
				t.Fatal(err)
			}
			n, _ := c.Read(make([]byte, 1)) // the first byte of the session's first message
			return n == 1
		}
		for i := range byte(3) {
			if !connect(1+i, hashes[0]) {
				t.Fatal("a slot is missing")
			}
		}
		if connect(8, hashes[1]) {
			t.Error("a peer is dropped before it has had time to send a message")
		}
		time.Sleep(2 * silentAfter)
		if !connect(9, hashes[1]) {
			t.Error("silent peers of another torrent keep all slots")
		}
		if _, peers := s.Pools(); peers.Slots != 3 || peers.Evicted != 1 || peers.Refused != 1 {
			t.Errorf("%+v", peers)
		}
	})
}

// TestNetworkWithSlotsInManyTorrents checks that another network gets a slot if one network
// holds all connection slots of a session, one slot in each of several torrents.
func TestNetworkWithSlotsInManyTorrents(t *testing.T) {
	t.Parallel()
	s, err := NewSession(Options{Bind: loopback, NoListen: true, MaxConns: 3}) // the session does not run, so that nothing else drops the peers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	now := time.Now()
	var all []*Torrent
	for i := range 3 {
		_, mi := noiseTorrent(t, (1+i)<<18, 16<<10)
		tor := added(t, s, mi, AddOptions{Storage: storage.NewMemory(int64(1+i) << 18)})
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}), 1)
		tor.mu.Lock()
		was := tor.peerConns.byID
		defer func() { // runs before the session closes the connections
			tor.mu.Lock()
			defer tor.mu.Unlock()
			tor.peerConns.byID = was
		}()
		tor.peerConns.byID = append(tor.peerConns.byID, &conn{t: tor, sock: transport.New(ours, transport.Options{}), peer: remotePeer{addr: addr, since: now.Add(-time.Minute)}})
		tor.mu.Unlock()
		all = append(all, tor)
	}
	if s.dropForNetwork(all, now, netip.MustParseAddrPort("192.0.2.99:1")) {
		t.Error("a peer was dropped for its own network")
	}
	if !s.dropForNetwork(all, now, netip.MustParseAddrPort("198.51.100.1:1")) {
		t.Error("no peer was dropped for another network")
	}
}
