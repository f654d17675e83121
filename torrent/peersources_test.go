package torrent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
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
		"a tracker":                 {func(_ *Session, tor *Torrent) { tor.foundPeers(named, "http://tracker.example/announce") }, false},
		"a tracker on this machine": {func(_ *Session, tor *Torrent) { tor.foundPeers(named, "http://127.0.0.1/announce") }, true},
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
