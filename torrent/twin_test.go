package torrent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/discovery"
	"spate/internal/simnet"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
	"spate/tracker"
)

// hashTracker is a tracker without a network, with a swarm for each info-hash.
type hashTracker struct {
	mu     sync.Mutex
	swarms map[spate.InfoHash]map[netip.AddrPort]bool // whether the peer is a seed
	events map[string]int                             // number of announces by address, info-hash and event
	done   map[spate.InfoHash]int                     // downloads: leechers that became seeds
}

func newHashTracker() *hashTracker {
	return &hashTracker{swarms: map[spate.InfoHash]map[netip.AddrPort]bool{}, events: map[string]int{}, done: map[spate.InfoHash]int{}}
}

// count returns how often a session announced an event to a swarm.
func (r *hashTracker) count(from netip.AddrPort, ih spate.InfoHash, event tracker.Event) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[fmt.Sprint(from, ih, event)]
}

// listed reports whether a swarm has the session at an address.
func (r *hashTracker) listed(from netip.AddrPort, ih spate.InfoHash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.swarms[ih][from]
	return ok
}

// hashAnnouncer announces the session at an address.
type hashAnnouncer struct {
	tracker *hashTracker
	addr    netip.Addr
}

func (a hashAnnouncer) Announce(_ context.Context, _ string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	r := a.tracker
	r.mu.Lock()
	defer r.mu.Unlock()
	from := netip.AddrPortFrom(a.addr, req.Port)
	r.events[fmt.Sprint(from, req.InfoHash, req.Event)]++
	resp := &tracker.AnnounceResponse{Interval: 10 * time.Minute, MinInterval: 30 * time.Second}
	swarm := r.swarms[req.InfoHash]
	if req.Event == tracker.EventStopped {
		delete(swarm, from)
		return resp, nil
	}
	if swarm == nil {
		swarm = map[netip.AddrPort]bool{}
		r.swarms[req.InfoHash] = swarm
	}
	if seed, known := swarm[from]; known && !seed && req.Left == 0 {
		r.done[req.InfoHash]++
	}
	swarm[from] = req.Left == 0
	for p, seed := range swarm {
		if p != from {
			resp.Peers = append(resp.Peers, p)
		}
		if seed {
			resp.Complete++
		} else {
			resp.Incomplete++
		}
	}
	slices.SortFunc(resp.Peers, netip.AddrPort.Compare)
	return resp, nil
}

// twoSwarms is a simulated world with a hybrid torrent and its v1 twin.
type twoSwarms struct {
	t            *testing.T
	net          *simnet.Network
	tracker      *hashTracker
	data         []byte // with the padding between files
	hybrid, twin *metainfo.MetaInfo
	hosts        int
	ends         []func()
}

// withTwoSwarms runs f in simulated time with a hybrid of files of the given sizes.
func withTwoSwarms(t *testing.T, sizes []int, f func(w *twoSwarms)) {
	t.Helper()
	inTwoSwarms(t, sizes, simnet.Options{Seed: 1}, f)
}

// inTwoSwarms does the same with a network with options.
func inTwoSwarms(t *testing.T, sizes []int, net simnet.Options, f func(w *twoSwarms)) {
	t.Helper()
	data, hybrid, twin := hybridAndTwin(t, sizes)
	synctest.Test(t, func(t *testing.T) {
		w := &twoSwarms{t: t, net: simnet.New(net), tracker: newHashTracker(), data: data, hybrid: hybrid, twin: twin}
		defer func() {
			for _, end := range w.ends {
				end()
			}
		}()
		f(w)
	})
}

// hybridAndTwin returns the data, a hybrid torrent and its v1 twin, with a tracker.
func hybridAndTwin(t *testing.T, sizes []int) (data []byte, hybrid, twin *metainfo.MetaInfo) {
	t.Helper()
	const pieceLength = 32 << 10
	path := filepath.Join(t.TempDir(), "noise")
	rng := rand.NewChaCha8([32]byte{byte(len(sizes)), 7})
	for i, n := range sizes {
		b := make([]byte, n)
		rng.Read(b)
		name := path
		if len(sizes) > 1 {
			data = append(data, make([]byte, -len(data)&(pieceLength-1))...)
			os.MkdirAll(path, 0o755)
			name = filepath.Join(path, fmt.Sprintf("file-%02d", i))
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		data = append(data, b...)
	}
	hybrid, err := maker.Make(t.Context(), path, maker.Options{Format: metainfo.Hybrid, PieceLength: pieceLength})
	if err != nil {
		t.Fatal(err)
	}
	info, hash, err := hybrid.V1Twin()
	if err != nil {
		t.Fatal(err)
	}
	if twin, err = metainfo.FromInfo(info); err != nil || twin.Hash() != hash || twin.Info.Format() != metainfo.V1 {
		t.Fatalf("the twin is a %s torrent with the info-hash %v, want v1 and %v (%v)", twin.Info.Format(), twin.Hash(), hash, err)
	}
	hybrid.AnnounceList = [][]string{{"http://tracker.example/announce"}}
	twin.AnnounceList = hybrid.AnnounceList
	return data, hybrid, twin
}

// simClient is a session in a world of two swarms.
type simClient struct {
	*Session
	end func()
}

// client returns a session on a new host.
func (w *twoSwarms) client(opt Options) *simClient {
	w.t.Helper()
	w.hosts++
	opt.Bind = netip.AddrFrom4([4]byte{10, 0, byte(w.hosts), 1})
	opt.Network = w.net.Host(opt.Bind, simnet.Link{Up: 2e6, Latency: 5 * time.Millisecond})
	opt.PeerPort, opt.Seed, opt.Announcer = 6881, uint64(w.hosts), hashAnnouncer{w.tracker, opt.Bind}
	opt.Encryption = EncryptionOff // the encrypted handshake has padding of random length
	opt.PeerID = spate.PeerID([]byte(fmt.Sprintf("-Sp0100-%012d", w.hosts)))
	s, err := NewSession(opt)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	c := &simClient{s, sync.OnceFunc(func() { cancel(); wg.Wait() })}
	w.ends = append(w.ends, c.end)
	return c
}

// origin returns a session that seeds the hybrid and the twin as two torrents.
func (w *twoSwarms) origin() (c *simClient, seeds [2]*Torrent) {
	w.t.Helper()
	c = w.client(Options{})
	for i, mi := range []*metainfo.MetaInfo{w.hybrid, w.twin} {
		var err error
		if seeds[i], err = c.Add(mi, AddOptions{Storage: storage.NewMemoryOf(w.data), Verified: true, SeedOnly: true}); err != nil {
			w.t.Fatal(err)
		}
	}
	return c, seeds
}

// simGetter is a download in a world of two swarms.
type simGetter struct {
	*simClient
	tor   *Torrent
	store storage.Storage
}

// getter starts a download. Unless carries is set, it is like a client that does not know of
// twins.
func (w *twoSwarms) getter(mi *metainfo.MetaInfo, carries bool) *simGetter {
	w.t.Helper()
	g := &simGetter{simClient: w.client(Options{ignoreTwins: !carries}), store: storage.NewMemoryLike(w.data)}
	var err error
	if g.tor, err = g.Add(mi, AddOptions{Storage: g.store}); err != nil {
		w.t.Fatal(err)
	}
	return g
}

// await waits until the downloads are complete, and compares their data.
func (w *twoSwarms) await(getters ...*simGetter) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Hour)
	defer cancel()
	for i, g := range getters {
		if err := g.tor.Wait(ctx); err != nil {
			w.t.Fatalf("the download of getter %d failed: %v; %+v", i, err, g.tor.Stats())
		}
		got := make([]byte, len(w.data))
		if _, err := g.store.ReadAt(got, 0); err != nil || string(got) != string(w.data) {
			w.t.Errorf("getter %d has wrong data (%v)", i, err)
		}
	}
}

// layouts are the sizes of the files of a torrent: one file, and several that do not end with a
// piece.
var layouts = map[string][]int{"one file": {4<<20 + 1000}, "unaligned files": {1<<20 + 77, 5, 2<<20 - 1, 40 << 10, 1 << 20}}

// TestPiecesAreCarriedBetweenSwarms checks that getters in the swarms of a hybrid and its twin
// carry pieces from one to the other: peers that know one of the two get everything although
// the origin leaves when the first carrier is complete. The carriers download no piece twice.
func TestPiecesAreCarriedBetweenSwarms(t *testing.T) {
	for name, sizes := range layouts {
		t.Run(name, func(t *testing.T) {
			withTwoSwarms(t, sizes, func(w *twoSwarms) {
				origin, _ := w.origin()
				time.Sleep(3 * time.Second)
				carriers := []*simGetter{w.getter(w.hybrid, true), w.getter(w.hybrid, true)}
				others := []*simGetter{w.getter(w.hybrid, false), w.getter(w.twin, false), w.getter(w.twin, false)}
				has := func(g *simGetter) int { return g.tor.Stats().PiecesHave }
				all := append(carriers, others...)
				for n := w.hybrid.Info.NumPieces(); !slices.ContainsFunc(carriers, func(g *simGetter) bool { return has(g) == n }); {
					time.Sleep(100 * time.Millisecond)
				}
				origin.end()
				w.await(all...)
				for i, g := range carriers {
					st := g.tor.Stats()
					if st.Downloaded > int64(len(w.data))*11/10 {
						t.Errorf("carrier %d has downloaded %d bytes of %d, so that pieces came twice", i, st.Downloaded, len(w.data))
					}
					for ih, want := range map[spate.InfoHash]int{w.hybrid.Hash(): 1, w.twin.Hash(): 0} {
						if n := w.tracker.count(g.Addr(), ih, tracker.EventCompleted); n != want {
							t.Errorf("carrier %d has announced completed %d times in the swarm %v, want %d", i, n, ih, want)
						}
					}
				}
			})
		})
	}
}

// TestDownloadOfTwoSwarmsCountsOnce checks that a getter in the swarms of a hybrid and its twin becomes
// a seed in both, and that a tracker, which counts leechers that become seeds, counts it in the
// hybrid's swarm only.
func TestDownloadOfTwoSwarmsCountsOnce(t *testing.T) {
	withTwoSwarms(t, []int{16 << 20}, func(w *twoSwarms) {
		w.origin()
		time.Sleep(3 * time.Second)
		g := w.getter(w.hybrid, true)
		for !w.tracker.listed(g.Addr(), w.twin.Hash()) {
			time.Sleep(100 * time.Millisecond)
		}
		w.await(g)
		time.Sleep(time.Hour)
		w.tracker.mu.Lock()
		defer w.tracker.mu.Unlock()
		for ih, want := range map[spate.InfoHash]int{w.hybrid.Hash(): 1, w.twin.Hash(): 0} {
			if got := w.tracker.done[ih]; got != want || !w.tracker.swarms[ih][g.Addr()] {
				t.Errorf("the tracker counts %d downloads in the swarm %v, want %d, and lists the getter as a seed: %t", got, ih, want, w.tracker.swarms[ih][g.Addr()])
			}
		}
	})
}

// TestCarriersSaveUploads checks that the origin of two swarms sends less if some of the getters
// carry pieces from one to the other.
func TestCarriersSaveUploads(t *testing.T) {
	run := func(carry bool) (sent int64) {
		withTwoSwarms(t, []int{8 << 20}, func(w *twoSwarms) {
			_, seeds := w.origin()
			time.Sleep(3 * time.Second)
			w.await(w.getter(w.hybrid, carry), w.getter(w.hybrid, carry), w.getter(w.hybrid, false), w.getter(w.twin, false), w.getter(w.twin, false))
			sent = seeds[0].Stats().Uploaded + seeds[1].Stats().Uploaded
		})
		return sent
	}
	alone, carried := run(false), run(true)
	t.Logf("the origin sent %d bytes, %d with carriers", alone, carried)
	if carried > alone*9/10 {
		t.Errorf("the origin sent %d bytes with carriers, want at most nine tenths of %d", carried, alone)
	}
}

// TestTwoSeedsSendOneFirstCopy checks that the origin of two swarms sends about one first copy to both
// together if all getters of the hybrid carry pieces to the swarm of the twin, and less than two if
// only one does, whichever that is. Nobody waits for the carriers: all getters are complete sooner than
// without them. The getters come one after the other, and each run of the simulation is the same.
func TestTwoSeedsSendOneFirstCopy(t *testing.T) {
	t.Parallel()
	run := func(carries ...int) (copies float64, took time.Duration) {
		inTwoSwarms(t, []int{2 << 20}, simnet.Options{Seed: 1, Lockstep: true}, func(w *twoSwarms) {
			_, seeds := w.origin()
			time.Sleep(3 * time.Second)
			start := time.Now()
			var all []*simGetter
			for i := range 3 {
				for _, mi := range []*metainfo.MetaInfo{w.hybrid, w.twin} {
					all = append(all, w.getter(mi, mi == w.hybrid && slices.Contains(carries, i)))
					time.Sleep(20 * time.Millisecond)
				}
			}
			w.await(all...)
			took = time.Since(start)
			copies = float64(seeds[0].Stats().Uploaded+seeds[1].Stats().Uploaded) / float64(len(w.data))
		})
		t.Logf("with the carriers %v the origin sent %.3f copies in %v", carries, copies, took)
		return copies, took
	}
	two, alone := run()
	for _, c := range []struct {
		carries []int
		most    float64
	}{{[]int{0}, two * 0.9}, {[]int{1}, two * 0.9}, {[]int{2}, two * 0.9}, {[]int{0, 1, 2}, 1.4}} {
		if copies, took := run(c.carries...); copies > c.most || took > alone {
			t.Errorf("with the carriers %v the origin sent %.3f copies in %v, want at most %.3f, and at most %v as without carriers", c.carries, copies, took, c.most, alone)
		}
	}
}

// conns returns the number of connections from a to b.
func conns(a *simGetter, b *simClient) (n int) {
	a.tor.mu.Lock()
	defer a.tor.mu.Unlock()
	for _, c := range a.tor.peerConns.byID {
		if c != nil && !c.end.gone && c.peer.id == b.PeerID() {
			n++
		}
	}
	return n
}

// TestConnectionsInTwoSwarms checks that two peers in both swarms have one connection, and that a
// peer has two to an origin that seeds both torrents, but shows it once and downloads over one.
func TestConnectionsInTwoSwarms(t *testing.T) {
	withTwoSwarms(t, []int{16 << 20}, func(w *twoSwarms) {
		origin, seeds := w.origin()
		time.Sleep(3 * time.Second)
		a, b := w.getter(w.hybrid, true), w.getter(w.hybrid, true)
		time.Sleep(2 * time.Second)
		if n := conns(a, origin); n != 2 {
			t.Errorf("a getter has %d connections to the origin, want 2", n)
		}
		if n := conns(a, b.simClient); n != 1 {
			t.Errorf("two getters have %d connections to each other, want 1", n)
		}
		if st, peers := a.tor.Stats(), a.tor.PeerStats(); st.Peers != 2 || st.Seeds+st.Leechers != 2 || len(peers) != 2 {
			t.Errorf("the getter shows %d peers, %d seeds and %d leechers, and lists %d; want 2 peers", st.Peers, st.Seeds, st.Leechers, len(peers))
		}
		w.await(a, b)
		if n := seeds[1].Stats().Uploaded; n > int64(len(w.data)/20) {
			t.Errorf("the origin has sent %d bytes in the swarm of the twin, which has no other peers, want only what it sent before it told of the twin", n)
		}
	})
}

// TestTwinIsLeftWithTheTorrent checks that a torrent in both swarms leaves both when it is
// removed, halts and starts again in both, and joins both after a restart.
func TestTwinIsLeftWithTheTorrent(t *testing.T) {
	withTwoSwarms(t, []int{16 << 20}, func(w *twoSwarms) {
		w.origin()
		g := w.getter(w.hybrid, true)
		in := func() [2]bool {
			return [2]bool{w.tracker.listed(g.Addr(), w.hybrid.Hash()), w.tracker.listed(g.Addr(), w.twin.Hash())}
		}
		want := func(state string, want bool) {
			t.Helper()
			for range 120 {
				time.Sleep(time.Second)
				if in() == [2]bool{want, want} {
					return
				}
			}
			t.Errorf("%s: the tracker lists the peer in the swarms %v, want %t for both", state, in(), want)
		}
		want("downloading", true)
		if g.Torrent(w.twin.Hash()) != g.tor || len(g.Torrents()) != 1 {
			t.Errorf("the session has %d torrents, want one with both info-hashes", len(g.Torrents()))
		}
		g.tor.fail(errSimulated)
		want("halted", false)
		want("started again", true)
		w.await(g)
		if err := g.Remove(w.twin.Hash()); err != nil {
			t.Error(err)
		}
		want("removed", false)
		if n := len(g.Swarms()); n != 0 || g.Torrent(w.hybrid.Hash()) != nil {
			t.Errorf("the session is still in %d swarms", n)
		}
	})
}

var errSimulated = errors.New("simulated")

// TestTorrentsOfOneSessionStayApart checks that a session with the hybrid and the twin as two
// torrents does not join the swarm of the twin with the hybrid too.
func TestTorrentsOfOneSessionStayApart(t *testing.T) {
	withTwoSwarms(t, []int{4 << 20}, func(w *twoSwarms) {
		w.origin()
		g := w.getter(w.hybrid, true)
		if _, err := g.Add(w.twin, AddOptions{Storage: storage.NewMemoryLike(w.data)}); err != nil {
			t.Fatal(err)
		}
		w.await(g)
		if g.tor.twin.Load() != nil || len(g.Torrents()) != 2 {
			t.Errorf("the hybrid has joined the swarm of the other torrent")
		}
	})
}

// TestSeedsDoNotJoinTwins checks that a torrent that only seeds stays in the swarms of the hybrid,
// whatever peers say.
func TestSeedsDoNotJoinTwins(t *testing.T) {
	withTwoSwarms(t, []int{4 << 20}, func(w *twoSwarms) {
		w.origin()
		seed, err := w.client(Options{}).Add(w.hybrid, AddOptions{Storage: storage.NewMemoryOf(w.data), Verified: true, SeedOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		g := w.getter(w.hybrid, true)
		w.await(g)
		if g.tor.twin.Load() == nil || seed.twin.Load() != nil {
			t.Errorf("the getter is in the swarm of the twin: %t, the seed: %t; want the getter only", g.tor.twin.Load() != nil, seed.twin.Load() != nil)
		}
	})
}

// TestTwinInPrivateTorrent checks that a private torrent finds the peers of the twin's swarm at the
// trackers only (BEP 27).
func TestTwinInPrivateTorrent(t *testing.T) {
	withTwoSwarms(t, []int{4 << 20}, func(w *twoSwarms) {
		private := func(mi *metainfo.MetaInfo) *metainfo.MetaInfo {
			raw, err := metainfo.EditInfo(mi.InfoBytes, map[string][]byte{"private": []byte("i1e")})
			if err != nil {
				t.Fatal(err)
			}
			p := *mi
			if err := p.ReplaceInfo(raw); err != nil {
				t.Fatal(err)
			}
			return &p
		}
		w.hybrid, w.twin = private(w.hybrid), private(w.twin)
		w.origin()
		g, other := w.getter(w.hybrid, true), w.getter(w.twin, false)
		for g.tor.twin.Load() == nil {
			time.Sleep(100 * time.Millisecond)
		}
		stranger := netip.MustParseAddrPort("10.9.9.9:6881")
		if g.Found(w.twin.Hash(), discovery.Candidate{Addr: stranger}, discovery.LSD) {
			t.Error("the torrent takes a peer from the local network")
		}
		w.await(g, other)
		g.tor.mu.Lock()
		defer g.tor.mu.Unlock()
		for _, l := range g.tor.listsLocked() {
			if _, known := l.Source(stranger); known || l.Len() == 0 {
				t.Errorf("a list has %d candidates, one of them from the local network: %t", l.Len(), known)
			}
		}
	})
}
