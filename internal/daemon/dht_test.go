package daemon

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"spate"
	"spate/dht"
	"spate/internal/atomicfile"
	"spate/internal/stall"
	"spate/maker"
	"spate/metainfo"
	"spate/torrent"
)

// dhtRouter runs a DHT node until the test ends and returns its address.
func dhtRouter(t *testing.T) (*dht.Node, string) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, err := dht.New(dht.Options{Conns: []net.PacketConn{c}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { n.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return n, c.LocalAddr().String()
}

// seedFile seeds a small file in a session and returns its torrent.
func seedFile(t *testing.T, s *Session, content string, private bool) *metainfo.MetaInfo {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := maker.Make(t.Context(), path, maker.Options{Private: private})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(m, torrent.AddOptions{Dir: filepath.Dir(path), Verified: true}); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMagnetLinkFindsPeersByDHT checks that a session finds the seed of a magnet link without
// trackers by the DHT alone, that private torrents are not announced, and that the session saves
// nodes for its next start.
func TestMagnetLinkFindsPeersByDHT(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	router, at := dhtRouter(t)
	seed := openSession(t, SessionConfig{DHTBootstrap: []string{at}})
	public, private := seedFile(t, seed, "public", false), seedFile(t, seed, "private", true)
	getter := openSession(t, SessionConfig{DHTBootstrap: []string{at}})
	m, _, err := getter.FetchMetadata(ctx, metainfo.Magnet{HashV1: public.Hash()}, MetadataConfig{Arg: "the link"})
	if err != nil || m.Hash() != public.Hash() {
		t.Fatalf("FetchMetadata returned %v, %v", m, err)
	}
	if res, err := router.Peers(ctx, private.Hash(), nil); err != nil || len(res.Peers) != 0 {
		t.Errorf("the DHT knows %v of a private torrent (%v)", res.Peers, err)
	}
	getter.Stop()
	saved, err := os.ReadFile(filepath.Join(getter.nodes.path))
	if err != nil || !bytes.Contains(saved, []byte("\x7f\x00\x00\x01")) {
		t.Errorf("the session saved %q (%v)", saved, err)
	}
}

// TestUnannouncedSessionSearchesOnly checks that a session with NoDHTAnnounce searches the DHT for its
// torrents, but that nodes get no announce of it.
func TestUnannouncedSessionSearchesOnly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	router, at := dhtRouter(t)
	s := openSession(t, SessionConfig{DHTBootstrap: []string{at}, NoDHTAnnounce: true})
	m := seedFile(t, s, "data", false)
	for !s.SearchInDHT(m.Hash()).Searched && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	res, err := router.Peers(ctx, m.Hash(), nil)
	if !s.SearchInDHT(m.Hash()).Searched || err != nil || len(res.Peers) > 0 || s.AdvertisedPort() == 0 {
		t.Errorf("after a search the DHT knows %v (%v)", res.Peers, err)
	}
}

// TestDHTStateOfSearch checks that a session says of a search whether nodes of the DHT have answered,
// and that a peer of the DHT counts as such when the torrent of the magnet link downloads.
func TestDHTStateOfSearch(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	router, at := dhtRouter(t)
	getter := openSession(t, SessionConfig{DHTBootstrap: []string{at}})
	silent := openSession(t, SessionConfig{DHTBootstrap: []string{"127.0.0.1:9"}})
	off := openSession(t, SessionConfig{})
	nobody := metainfo.Magnet{HashV1: spate.InfoHash{1, 2, 3}}
	for _, c := range []struct {
		s    *Session
		want stall.Cause
	}{{getter, stall.NoPeers}, {silent, stall.NoSource}, {off, stall.NoSource}} {
		search, stop := context.WithCancel(ctx)
		c.s.Session.FetchMetadata(search, nobody, torrent.MetadataOptions{Watch: func(st torrent.MetadataStats) {
			d := c.s.SearchInDHT(nobody.Hash())
			if stall.OfSearch(&stall.Search{MetadataStats: st, DHT: d}).Cause != c.want {
				return
			}
			if d.On != c.s.DHT || d.Searched != (c.s == getter) || (d.Nodes > 0) != (c.s == getter) || c.s.Searches() != d.On {
				t.Errorf("the search in the DHT is %+v", d)
			}
			stop()
		}})
		stop()
		if ctx.Err() != nil {
			t.Fatalf("the session never says %q", c.want)
		}
	}
	seed := openSession(t, SessionConfig{DHTBootstrap: []string{at}})
	m := seedFile(t, seed, "data", false)
	for n := 0; n == 0; { // else the seed could find the getter first
		res, err := router.Peers(ctx, m.Hash(), nil)
		if err != nil {
			t.Fatal(err)
		}
		n = len(res.Peers)
	}
	found, peers, err := getter.FetchMetadata(ctx, metainfo.Magnet{HashV1: m.Hash()}, MetadataConfig{Arg: "the link"})
	if err != nil {
		t.Fatal(err)
	}
	tor, err := getter.Add(found, torrent.AddOptions{Dir: t.TempDir(), Peers: peers})
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if got := stall.SourcesWords(tor.Sources()); got != "1 DHT" {
		t.Errorf("the sources of peers are %q", got)
	}
}

// TestLoopbackHasNoDHT checks that a session that is bound to loopback has a DHT node only if a
// bootstrap node is given, and that NoDHT turns it off.
func TestLoopbackHasNoDHT(t *testing.T) {
	t.Parallel()
	_, at := dhtRouter(t)
	for _, c := range []SessionConfig{{}, {NoDHT: true, DHTBootstrap: []string{at}}} {
		if s := openSession(t, c); s.DHT || s.nodes != nil {
			t.Errorf("the session has a DHT node with NoDHT %v and bootstrap nodes %q", c.NoDHT, c.DHTBootstrap)
		}
	}
}

// TestNodesOfTorrentLeadIntoDHT checks that the nodes in a torrent lead into the DHT when the
// bootstrap node is gone, and that those of a private torrent are not asked.
func TestNodesOfTorrentLeadIntoDHT(t *testing.T) {
	t.Parallel()
	_, at := dhtRouter(t)
	secret, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	s := openSession(t, SessionConfig{DHTBootstrap: []string{"127.0.0.1:9"}})
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, private := range []bool{true, false} {
		m, err := maker.Make(t.Context(), path, maker.Options{Private: private})
		if err != nil {
			t.Fatal(err)
		}
		m.Nodes = []string{"example.org:1", "not a node", at}
		if private {
			m.Nodes = []string{secret.LocalAddr().String()}
		}
		if _, err := s.Add(m, torrent.AddOptions{Dir: filepath.Dir(path), Verified: true}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-s.nodes.node.Ready():
	case <-time.After(patience):
		t.Errorf("the nodes of the torrent were not asked: %+v", s.nodes.node.Status())
	}
	secret.SetReadDeadline(time.Now().Add(time.Millisecond)) // a packet would have come before those of the public torrent
	if n, _, err := secret.ReadFrom(make([]byte, 100)); err == nil {
		t.Errorf("the node of a private torrent got %d bytes", n)
	}
}

// TestNodeOfTorrentCanBeName checks that the host name of a node in a torrent is resolved, after
// names that a session on loopback does not ask for.
func TestNodeOfTorrentCanBeName(t *testing.T) {
	t.Parallel()
	_, at := dhtRouter(t)
	_, port, _ := net.SplitHostPort(at)
	s := openSession(t, SessionConfig{DHTBootstrap: []string{"127.0.0.1:9"}})
	s.addNodes([]string{"gone.example:1", "no port", "127.1:" + port, "localhost:" + port})
	select {
	case <-s.nodes.node.Ready():
	case <-time.After(patience):
		t.Errorf("the node was not asked: %+v", s.nodes.node.Status())
	}
}

// TestSeedIsFoundByItsOwnNode checks that a torrent without a tracker whose only node is that of its
// seed is downloaded, although neither side knows another node.
func TestSeedIsFoundByItsOwnNode(t *testing.T) {
	t.Parallel()
	nobody := []string{"127.0.0.1:9"}
	seed := openSession(t, SessionConfig{DHTBootstrap: nobody})
	m := *seedFile(t, seed, "data", false)
	m.Nodes = []string{seed.PeerAddr()}
	tor, err := openSession(t, SessionConfig{DHTBootstrap: nobody}).Add(&m, torrent.AddOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-tor.Done():
	case <-time.After(patience):
		t.Errorf("the seed was not found: %+v", tor.Stats())
	}
}

// TestPublisherNamesItsNode checks which DHT node a publisher puts into torrents: the host of the
// site and the port of the peers, and none if the DHT is off or only this network reaches the site.
func TestPublisherNamesItsNode(t *testing.T) {
	t.Parallel()
	on := openSession(t, SessionConfig{DHTBootstrap: []string{"127.0.0.1:9"}})
	off := openSession(t, SessionConfig{DHTBootstrap: []string{"127.0.0.1:9"}, NoDHT: true})
	port := strconv.Itoa(int(on.AdvertisedPort()))
	for _, c := range []struct {
		s          *Session
		base, want string
	}{
		{on, "https://files.example.org/iso", "files.example.org:" + port},
		{on, "http://198.18.0.1:6969", ""},
		{on, "http://11.22.33.44:6969", "11.22.33.44:" + port},
		{on, "http://[2a00::1]:6969", "[2a00::1]:" + port},
		{off, "https://files.example.org/iso", ""},
		{on, "http://127.0.0.1:6969", ""},
		{on, "http://localhost:6969", ""},
		{on, "http://192.168.1.2:6969", ""},
		{on, "http://[fd00::1]:6969", ""},
	} {
		p := &Publisher{session: c.s}
		base, err := url.Parse(c.base)
		if err != nil {
			t.Fatal(err)
		}
		p.address.Store(&publicAddress{base: base})
		if got := p.dhtNode(); got != c.want {
			t.Errorf("the node of %s is %q, want %q", c.base, got, c.want)
		}
	}
}

// TestDamagedNodesAreSetAside checks that a session starts although the file of saved nodes is
// damaged.
func TestDamagedNodesAreSetAside(t *testing.T) {
	t.Parallel()
	_, at := dhtRouter(t)
	dir := t.TempDir()
	path := filepath.Join(dir, dhtFile)
	if err := atomicfile.Write(path, []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	env, warned := testEnv(), ""
	env.Warnf = func(format string, args ...any) { warned += format }
	s, err := OpenSession(env, SessionConfig{NoLSD: true, DHTBootstrap: []string{at}, Options: torrent.Options{Bind: loopback, ResumeDir: dir}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if _, err := os.Stat(path + ".damaged"); !s.DHT || err != nil || !strings.Contains(warned, "%v") {
		t.Errorf("the session has a DHT node: %v; set aside: %v; warnings: %q", s.DHT, err, warned)
	}
}
