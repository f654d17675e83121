package torrent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spate/discovery"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
	"spate/torrent/internal/peerlist"
)

// dialLog is a network that records the dialled addresses and makes no connection.
type dialLog struct {
	systemNetwork
	mu      sync.Mutex
	dialled map[string]bool
	some    chan struct{} // receives a value at a dial, if it is empty
}

func newDialLog() *dialLog {
	return &dialLog{dialled: map[string]bool{}, some: make(chan struct{}, 1)}
}

func (d *dialLog) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dialled[address] = true
	select {
	case d.some <- struct{}{}:
	default:
	}
	return nil, errors.New("no network")
}

func (d *dialLog) has(a netip.AddrPort) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dialled[a.String()]
}

// await waits until a was dialled.
func (d *dialLog) await(t *testing.T, a netip.AddrPort) {
	t.Helper()
	for timeout := time.After(patience); !d.has(a); {
		select {
		case <-d.some:
		case <-timeout:
			t.Fatalf("%v was not dialled", a)
		}
	}
}

// Addresses that sources name as peers.
var (
	metadataPeers = []netip.AddrPort{
		netip.MustParseAddrPort("169.254.169.254:80"), netip.MustParseAddrPort("[::ffff:169.254.169.254]:80"), netip.MustParseAddrPort("168.63.129.16:80"),
		netip.MustParseAddrPort("[fd00:ec2::254]:80"), netip.MustParseAddrPort("[64:ff9b::a9fe:a9fe]:80"), netip.MustParseAddrPort("100.100.100.200:80"),
	}
	loopbackPeer = netip.MustParseAddrPort("127.0.0.1:9")
	plainPeer    = netip.MustParseAddrPort("192.0.2.7:6881")
)

// TestMetadataServicesAreNotDialled checks that the metadata service of a cloud is dialled
// as a peer only if the user names it. A loopback address is dialled only if the user, the
// caller or a tracker on this machine names it.
func TestMetadataServicesAreNotDialled(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 1<<20, 64<<10)
	named := append(slices.Clone(metadataPeers), loopbackPeer, plainPeer)
	for name, c := range map[string]struct {
		name     func(s *Session, tor *Torrent)
		loopback bool
	}{
		"a tracker":                 {func(_ *Session, tor *Torrent) { tor.foundPeers(tor.peers, named, "http://tracker.example/announce") }, false},
		"a tracker on this machine": {func(_ *Session, tor *Torrent) { tor.foundPeers(tor.peers, named, "http://127.0.0.1/announce") }, true},
		"the caller":                {func(_ *Session, tor *Torrent) { tor.AddPeers(named) }, true},
		"the local network": {func(s *Session, tor *Torrent) {
			for _, a := range named {
				s.Found(tor.hash, discovery.Candidate{Addr: a}, discovery.LSD)
			}
		}, false},
		"a peer": {func(_ *Session, tor *Torrent) {
			msg := peerwire.AppendPEX(nil, extPEX, &peerwire.PEXMessage{Added: named, Flags: make([]peerwire.PEXFlags, len(named))})
			const before = 6 // bytes of the length, the message id and the extension id
			tor.mu.Lock()
			defer tor.mu.Unlock()
			if err := (&conn{t: tor}).pexLocked(msg[before:], time.Now()); err != nil {
				t.Error(err)
			}
		}, false},
		"the peer itself": {func(_ *Session, tor *Torrent) {
			tor.mu.Lock()
			defer tor.mu.Unlock()
			for _, a := range named {
				(&conn{t: tor, peer: remotePeer{incoming: true, addr: netip.AddrPortFrom(a.Addr(), 1)}}).listensLocked(a.Port())
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network := newDialLog()
			s, err := NewSession(Options{Network: network, NoListen: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
			c.name(s, tor)
			tor.mu.Lock()
			defer tor.mu.Unlock()
			for _, a := range named {
				_, known := tor.peers.Source(a)
				if want := a == plainPeer || a == loopbackPeer && c.loopback; known != want || !want && network.has(a) {
					t.Errorf("%v: known %v, want %v", a, known, want)
				}
			}
		})
	}
}

// TestPEXNamesNoNearerPeers checks for peers of each kind of address which addresses peer
// exchange takes from them, and which it tells them.
func TestPEXNamesNoNearerPeers(t *testing.T) {
	t.Parallel()
	_, mi := noiseTorrent(t, 1<<20, 64<<10)
	const none = "[2001:db8::1]:0 [::]:6881 0.0.0.0:6881 224.0.0.1:6881 [ff02::1]:6881 255.255.255.255:6881 169.254.169.254:6881 192.0.0.1:6881 [fe80::1]:6881"
	const service = "198.51.100.7:25 198.51.100.7:22 [2001:db8::7]:53 10.7.7.7:6667"
	const public = "198.51.100.7:6881 [2001:db8::7]:6881 [::ffff:198.51.100.8]:6881 [64:ff9b::c633:6409]:6881"
	const private = "10.7.7.7:6881 192.168.1.1:8080 172.16.1.1:6881 100.64.1.1:6881 198.18.1.1:6881 [fd00::7]:6881 [fec0::7]:6881 [::ffff:10.7.7.8]:6881 [64:ff9b::a07:709]:6881 [2002:a07:70a::1]:6881"
	const link = "169.254.7.7:6881"
	const loopback = "127.0.0.1:6881 [::1]:6881 [::ffff:127.0.0.2]:6881 [64:ff9b::7f00:3]:6881"
	groups := map[string]string{"none": none, "service": service, "public": public, "private": private, "link": link, "loopback": loopback}
	for from, taken := range map[string][]string{
		"203.0.113.1": {"public"}, "2001:db8::1": {"public"}, "::ffff:203.0.113.1": {"public"}, "64:ff9b::cb00:7101": {"public"}, "": {"public"},
		"10.0.0.1": {"public", "private"}, "fd00::1": {"public", "private"}, "100.64.0.1": {"public", "private"}, "64:ff9b::a00:1": {"public", "private"},
		"169.254.1.1": {"public", "private", "link"}, "127.0.0.1": {"public", "private", "link"}, "::1": {"public", "private", "link"},
	} {
		s, err := NewSession(Options{Network: newDialLog(), NoListen: true})
		if err != nil {
			t.Fatal(err)
		}
		tor := added(t, s, mi, AddOptions{Storage: storage.NewMemory(1 << 20)})
		c := &conn{t: tor}
		if from != "" {
			c.peer.addr = netip.AddrPortFrom(netip.MustParseAddr(from), 6881)
		}
		for group, text := range groups {
			want := slices.Contains(taken, group)
			for _, f := range strings.Fields(text) {
				a := netip.MustParseAddrPort(f)
				c.ext.pex.received = time.Time{}
				msg := peerwire.AppendPEX(nil, extPEX, &peerwire.PEXMessage{Added: []netip.AddrPort{a}, Flags: make([]peerwire.PEXFlags, 1)})
				const before = 6 // bytes of the length, the message id and the extension id
				tor.mu.Lock()
				err := c.pexLocked(msg[before:], time.Now())
				_, known := tor.peers.Source(a)
				tor.mu.Unlock()
				if err != nil || known != want {
					t.Errorf("the peer %s names %s: %v, taken %v, want %v", from, f, err, known, want)
				}
				if tell := mayName(c.peer.addr.Addr(), a.Addr()); group != "none" && group != "service" && tell != (want || group == "loopback" && c.peer.addr.Addr().IsLoopback()) {
					t.Errorf("the peer %s is told %s: %v", from, f, tell)
				}
			}
		}
		s.Close()
	}
}

// TestTrackersOfThisMachine checks which tracker URLs may name addresses on loopback as peers.
func TestTrackersOfThisMachine(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.8.8.8:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]": true, "localhost": true, "LOCALHOST:80": true, "localhost.": true, "x.localhost": true,
		"10.0.0.1": false, "203.0.113.7": false, "tracker.example": false, "127.0.0.1.example": false, "localhost.example": false, "127.1": false, "0.0.0.0": false, "[::]": false, "": false,
	} {
		source := trackerSource("http://"+host+"/announce", loopbackPeer)
		if got := source == peerlist.SourceLocalTracker; got != want {
			t.Errorf("the tracker at %q may name loopback addresses: %v, want %v", host, got, want)
		}
		if trackerSource("http://"+host+"/announce", plainPeer) != peerlist.SourceTracker {
			t.Errorf("a public peer of the tracker at %q is not from a tracker", host)
		}
	}
}

// TestAllPeersOfTheUserAreDialled checks that every address that the user names is dialled.
func TestAllPeersOfTheUserAreDialled(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 1<<20, 64<<10)
	network := newDialLog()
	s, err := NewSession(Options{Network: network, NoListen: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mustBe := []netip.AddrPort{metadataPeers[0], loopbackPeer}
	if _, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryLike(data), Peers: mustBe}); err != nil {
		t.Fatal(err)
	}
	for _, a := range mustBe {
		network.await(t, a)
	}
}

// TestMagnetLinkCannotNameLocalPeers checks that the peers of a magnet link (x.pe) cannot
// be this machine or the metadata service of a cloud, because anybody can write a link.
func TestMagnetLinkCannotNameLocalPeers(t *testing.T) {
	t.Parallel()
	network := newDialLog()
	s, err := NewSession(Options{Network: network, NoListen: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	link := metainfo.Magnet{HashV1: [20]byte{1}}
	for _, a := range append(slices.Clone(metadataPeers), loopbackPeer, plainPeer) {
		link.Peers = append(link.Peers, a.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, _, err := s.FetchMetadata(ctx, link, MetadataOptions{})
		done <- err
	}()
	network.await(t, plainPeer)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(network.dialled) != 1 {
		t.Errorf("dialled %v", network.dialled)
	}
}

// TestMetadataServiceIsNotPassedOnToTorrent checks that a search for metadata passes a peer
// at the address of a cloud's metadata service on to the torrent only if the user named it.
func TestMetadataServiceIsNotPassedOnToTorrent(t *testing.T) {
	t.Parallel()
	s := testSession(t, Options{})
	f := newMetaFetch(s, metainfo.Magnet{HashV1: [20]byte{1}})
	defer f.stop()
	for _, a := range append(slices.Clone(metadataPeers), loopbackPeer, plainPeer) {
		f.listensAt(a)
	}
	if want := []netip.AddrPort{loopbackPeer, plainPeer}; !slices.Equal(f.answered, want) {
		t.Errorf("useful %v, want %v", f.answered, want)
	}
	f.peers.Add(metadataPeers[:1], peerlist.SourceManual)
	f.listensAt(metadataPeers[0])
	if len(f.answered) != 3 {
		t.Errorf("the user's own peer is not passed on: %v", f.answered)
	}
}
