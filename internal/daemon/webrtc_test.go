package daemon

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"spate/internal/udpmux"
	"spate/maker"
	"spate/metainfo"
	"spate/torrent"
	"spate/tracker/swarm"
	"spate/tracker/trackerserver"
)

// signalTracker runs a tracker on loopback and returns the URL for WebSocket clients.
func signalTracker(t *testing.T) string {
	t.Helper()
	table, err := swarm.New(swarm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := trackerserver.New(table, trackerserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	web := &http.Server{Handler: server.Handler(http.NotFoundHandler())}
	wg.Go(func() { web.Serve(server.Listener(l)) })
	wg.Go(func() { server.Run(ctx) })
	t.Cleanup(func() { cancel(); web.Close(); l.Close(); wg.Wait(); table.Close() })
	return "ws://" + l.Addr().String() + "/announce"
}

// noise makes a torrent of a file with random bytes.
func noise(t *testing.T, size int) (dir string, data []byte, mi *metainfo.MetaInfo) {
	t.Helper()
	dir, data = t.TempDir(), make([]byte, size)
	rand.Read(data)
	path := filepath.Join(dir, "noise")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := maker.Make(t.Context(), path, maker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return dir, data, out
}

// TestSignalsConnectPeers checks that two engines that know each other from a WebSocket tracker
// only, exchange a torrent over a data channel, from a magnet link too, that the statistics name
// the transport and no address, and that a seed makes no offers.
func TestSignalsConnectPeers(t *testing.T) {
	t.Parallel()
	url := signalTracker(t)
	dir, data, mi := noise(t, 3<<20+5)
	mi.AnnounceList = [][]string{{url}}
	seed := openSession(t, SessionConfig{NoDHT: true})
	seeding, err := seed.Add(mi, torrent.AddOptions{Dir: dir, Verified: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	until(t, ctx, func() bool {
		return slices.ContainsFunc(seeding.Stats().Trackers, func(s torrent.TrackerStats) bool { return !s.LastAnnounce.IsZero() && s.Err == nil })
	})

	get := openSession(t, SessionConfig{NoDHT: true})
	h1, _ := mi.HashV1()
	h2, _ := mi.HashV2()
	link := metainfo.Magnet{HashV1: h1, HashV2: h2, Trackers: []string{url}}
	found, _, err := get.Session.FetchMetadata(ctx, link, torrent.MetadataOptions{})
	if err != nil {
		t.Fatalf("no metadata: %v", err)
	}
	to := t.TempDir()
	tor, err := get.Add(found, torrent.AddOptions{Dir: to})
	if err != nil {
		t.Fatal(err)
	}
	var peers []torrent.PeerStats
	until(t, ctx, func() bool {
		if len(peers) == 0 {
			peers = tor.PeerStats()
		}
		return tor.Stats().State == torrent.StateSeeding
	})
	got, err := os.ReadFile(filepath.Join(to, "noise"))
	if err != nil || string(got) != string(data) {
		t.Fatalf("the file differs, or %v", err)
	}
	if len(peers) == 0 {
		peers = tor.PeerStats()
	}
	if len(peers) != 1 || peers[0].Transport != torrent.WebRTCChannel || peers[0].Transport.String() != "webrtc" || peers[0].Key.Addr().IsValid() || !peers[0].Key.IsValid() {
		t.Errorf("the peers are %+v", peers)
	}
}

// until waits until a condition holds.
func until(t *testing.T, ctx context.Context, ok func() bool) {
	t.Helper()
	for tick := time.NewTicker(5 * time.Millisecond); !ok(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			t.Fatal("it does not happen")
		}
	}
}

// TestLoopbackChecksOnlyLoopback checks to which candidates of others packets go.
func TestLoopbackChecksOnlyLoopback(t *testing.T) {
	t.Parallel()
	for a, want := range map[string][2]bool{ // bound to loopback, to all addresses
		"127.0.0.1:7000": {true, false}, "[::1]:7000": {true, false}, "192.168.201.2:7000": {false, true}, "203.0.113.1:7000": {false, true},
		"169.254.169.254:7000": {false, false}, "224.0.0.1:7000": {false, false}, "255.255.255.255:7000": {false, false}, "0.0.0.0:7000": {false, false}, "[fe80::1]:7000": {false, false},
		"127.0.0.1:53": {false, false}, "203.0.113.1:443": {false, false}, "203.0.113.1:5060": {false, false},
	} {
		to := netip.MustParseAddrPort(a)
		got := [2]bool{mayCheck(loopback, to), mayCheck(netip.Addr{}, to)}
		if got != want {
			t.Errorf("%s: %v, want %v", a, got, want)
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, ia := range own {
		p := netip.MustParsePrefix(ia.String())
		if mayCheck(netip.Addr{}, netip.AddrPortFrom(p.Addr(), 7000)) {
			t.Errorf("checks go to %v of this machine", p)
		}
	}
}

// TestPeerPortAnswersSTUN checks that the UDP port of the peers answers STUN binding requests.
func TestPeerPortAnswersSTUN(t *testing.T) {
	t.Parallel()
	udp, err := udpmux.Listen(netip.MustParseAddr("127.0.0.1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	answerSTUN(udp)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { udp.Run(ctx) })
	t.Cleanup(func() { cancel(); udp.Close(); wg.Wait() })
	c, err := net.Dial("udp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), udp.Port()).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := []byte("\x00\x01\x00\x00\x21\x12\xa4\x42transaction1")
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	reply := make([]byte, 100)
	n, err := c.Read(reply)
	if err != nil || n != 32 || string(reply[:2]) != "\x01\x01" || string(reply[4:20]) != string(request[4:]) {
		t.Errorf("the reply to a binding request is %q (%v)", reply[:n], err)
	}
}
