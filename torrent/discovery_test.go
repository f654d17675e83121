package torrent

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"spate"
	"spate/discovery"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent/internal/peerlist"
	"spate/tracker"
)

// addTo adds a torrent with storage in memory.
func addTo(t *testing.T, s *Session, data []byte, mi *metainfo.MetaInfo, opt AddOptions) *Torrent {
	t.Helper()
	opt.Storage = storage.NewMemoryLike(data)
	tor, err := s.Add(mi, opt)
	if err != nil {
		t.Fatal(err)
	}
	return tor
}

// TestSwarmsOfRunningTorrents checks the swarms that Session.Swarms returns: both swarms of
// a hybrid, the swarm of a private torrent marked as private, that of a complete torrent marked
// as a seed's, and no swarm of a stopped torrent. The session accepts peers only for these swarms.
func TestSwarmsOfRunningTorrents(t *testing.T) {
	t.Parallel()
	s := testSession(t, Options{})
	data, mi := noiseTorrent(t, 100<<10, 16<<10)
	secret := addTo(t, s, data, privateTorrent(t, mi), AddOptions{})
	plain := addTo(t, s, data, mi, AddOptions{})
	data, stopped := noiseTorrent(t, 200<<10, 16<<10)
	addTo(t, s, data, stopped, AddOptions{Stopped: true})
	data, hybrid := hybridTorrent(t, 64<<10, 16<<10)
	both := addTo(t, s, data, hybrid, AddOptions{})
	data, whole := noiseTorrent(t, 300<<10, 16<<10)
	seed := added(t, s, whole, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	until(t, "they run", func() bool {
		return seed.Stats().State == StateSeeding && secret.Stats().State == StateDownloading && plain.Stats().State == StateDownloading && both.Stats().State == StateDownloading
	})
	want := []discovery.Swarm{
		{InfoHash: secret.InfoHash(), Private: true, NeedsPeers: true}, {InfoHash: mi.Hash(), Local: true, NeedsPeers: true},
		{InfoHash: hybrid.Hash(), Local: true, NeedsPeers: true}, {InfoHash: v2HashOf(hybrid), Local: true, NeedsPeers: true},
		{InfoHash: whole.Hash(), Local: true, Seed: true, NeedsPeers: true},
	}
	got := s.Swarms()
	for _, all := range [][]discovery.Swarm{want, got} {
		slices.SortFunc(all, func(a, b discovery.Swarm) int { return cmp.Compare(a.InfoHash.String(), b.InfoHash.String()) })
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	peer := discovery.Candidate{Addr: netip.MustParseAddrPort("10.1.2.3:4")}
	for ih, ours := range map[spate.InfoHash]bool{mi.Hash(): true, v2HashOf(hybrid): true, secret.InfoHash(): false, stopped.Hash(): false, {1}: false} {
		if s.Found(ih, peer, discovery.LSD) != ours {
			t.Errorf("%v: taken is %v", ih, !ours)
		}
	}
	for _, tor := range []*Torrent{plain, both} {
		if n := tor.Stats().Known; n != 1 {
			t.Errorf("%s knows %d candidates", tor.Name(), n)
		}
	}
}

// TestPrivateTakesPeersFromTrackersOnly checks that a private torrent accepts peers only from
// trackers, and another torrent from every source (BEP 27).
func TestPrivateTakesPeersFromTrackersOnly(t *testing.T) {
	t.Parallel()
	s := testSession(t, Options{NoListen: true, Network: newDialLog()})
	data, mi := noiseTorrent(t, 100<<10, 16<<10)
	secret := addTo(t, s, data, privateTorrent(t, mi), AddOptions{})
	public := addTo(t, s, data, mi, AddOptions{})
	until(t, "they run", func() bool { return secret.dormancy.running.Load() && public.dormancy.running.Load() })
	for source := discovery.Other; source <= discovery.LSD+1; source++ {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(source)}), 7000)
		for tor, want := range map[*Torrent]bool{public: true, secret: source == discovery.Tracker} {
			taken := s.Found(tor.InfoHash(), discovery.Candidate{Addr: addr}, source)
			tor.mu.Lock()
			_, known := tor.peers.Source(addr)
			tor.mu.Unlock()
			if taken != want || known != want {
				t.Errorf("%v, private %v: taken %v, known %v, want %v", source, tor == secret, taken, known, want)
			}
		}
	}
}

// portAnnouncer records the ports of announces.
type portAnnouncer struct{ ports chan uint16 }

func (p portAnnouncer) Announce(_ context.Context, _ string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	select {
	case p.ports <- req.Port:
	default:
	}
	return &tracker.AnnounceResponse{Interval: time.Hour}, nil
}

// TestAdvertisedPort checks that trackers and peers are told the advertised port,
// and connected peers also of each change.
func TestAdvertisedPort(t *testing.T) {
	t.Parallel()
	ann := portAnnouncer{make(chan uint16, 1)}
	s := testSession(t, Options{AdvertisedPort: 7777, Announcer: ann})
	data, mi := noiseTorrent(t, 100<<10, 16<<10)
	mi.AnnounceList = [][]string{{"http://127.0.0.1/announce"}}
	addTo(t, s, data, mi, AddOptions{})
	if port := <-ann.ports; port != 7777 {
		t.Errorf("the tracker was told port %d", port)
	}
	if a, b := s.AdvertisedPort(), s.PeerPort(); a != 7777 || b == 7777 || b != s.Addr().Port() {
		t.Errorf("advertised %d, bound %d", a, b)
	}
	peer := testSession(t, Options{})
	tor := addTo(t, peer, data, mi, AddOptions{Peers: []netip.AddrPort{s.Addr()}})
	told := func(want uint16) func() bool {
		return func() bool {
			tor.mu.Lock()
			defer tor.mu.Unlock()
			for _, c := range tor.peerConns.byID {
				if c != nil && c.ext.handshake.Port == want {
					return true
				}
			}
			return false
		}
	}
	until(t, "the peer is told the port", told(7777))
	s.SetAdvertisedPort(7778)
	until(t, "the peer is told the new port", told(7778))
	s.SetAdvertisedPort(0)
	until(t, "the peer is told the bound port", told(s.PeerPort()))
}

// fromInternet is a network whose incoming connections seem to come from a public address.
type fromInternet struct {
	Network
	conn func(net.Conn) net.Conn
}

func (n fromInternet) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := n.Network.Listen(ctx, network, address)
	return publicListener{l, n.conn}, err
}

type publicListener struct {
	net.Listener
	conn func(net.Conn) net.Conn
}

func (l publicListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return l.conn(c), err
}

type publicConn struct{ net.Conn }

func (publicConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("203.0.113.7:4000"))
}

// ownPublicConn is a connection of a program on the machine with that address.
type ownPublicConn struct{ publicConn }

func (c ownPublicConn) LocalAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[::ffff:203.0.113.7]:6881"))
}

// TestLastIncomingCountsPublicAddresses checks that a connection from this network, or from this
// machine to its own public address, does not count as one from the internet.
func TestLastIncomingCountsPublicAddresses(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 100<<10, 16<<10)
	for name, conn := range map[string]func(net.Conn) net.Conn{
		"private": nil, "public": func(c net.Conn) net.Conn { return publicConn{c} }, "own": func(c net.Conn) net.Conn { return ownPublicConn{publicConn{c}} },
	} {
		public := name == "public"
		opt := Options{}
		if conn != nil {
			opt.Network = fromInternet{systemNetwork{bind: netip.MustParseAddr("127.0.0.1")}, conn}
		}
		s := testSession(t, opt)
		added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		tor := addTo(t, testSession(t, Options{}), data, mi, AddOptions{Peers: []netip.AddrPort{s.Addr()}})
		until(t, "the peer has the data", func() bool { return tor.Stats().State == StateSeeding })
		if got := !s.LastIncoming().IsZero(); got != public {
			t.Errorf("%s address: connections from the internet: %v, want %v", name, got, public)
		}
	}
}

// TestSeedsDialNoSeeds checks that a complete torrent dials no seeds, and that a source
// cannot mark a known peer as a seed.
func TestSeedsDialNoSeeds(t *testing.T) {
	t.Parallel()
	s := testSession(t, Options{NoListen: true, Network: newDialLog()})
	data, mi := noiseTorrent(t, 100<<10, 16<<10)
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	until(t, "it seeds", func() bool { return tor.Stats().State == StateSeeding })
	seed, known := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:1")
	tor.mu.Lock()
	defer tor.mu.Unlock()
	now := tor.status.added
	tor.peers.Add([]netip.AddrPort{known}, peerlist.SourceTracker)
	for _, a := range []netip.AddrPort{seed, known} {
		addCandidate(tor.peers, discovery.Candidate{Addr: a, Seed: true}, peerlist.SourceOther, now)
	}
	if got := tor.peers.Next(now, 5); !slices.Equal(got, []netip.AddrPort{known}) {
		t.Errorf("dials %v, want %v", got, known)
	}
}
