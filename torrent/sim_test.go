package torrent_test

import (
	"context"
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/bencode"
	"spate/internal/simnet"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
	"spate/tracker"
)

// makeTorrent returns n random bytes and a v1 torrent of them with a tracker.
func makeTorrent(t testing.TB, n, pieceLength int) ([]byte, *metainfo.MetaInfo) {
	t.Helper()
	data := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	rng.Read(data)
	var pieces []byte
	for i := 0; i < n; i += pieceLength {
		h := sha1.Sum(data[i:min(i+pieceLength, n)])
		pieces = append(pieces, h[:]...)
	}
	b := bencode.AppendDict(nil)
	b = bencode.AppendString(b, "announce")
	b = bencode.AppendString(b, "http://tracker.example/announce")
	b = bencode.AppendString(b, "info")
	b = bencode.AppendDict(b)
	b = bencode.AppendString(b, "length")
	b = bencode.AppendInt(b, int64(n))
	b = bencode.AppendString(b, "name")
	b = bencode.AppendString(b, fmt.Sprintf("noise-%d.bin", n))
	b = bencode.AppendString(b, "piece length")
	b = bencode.AppendInt(b, int64(pieceLength))
	b = bencode.AppendString(b, "pieces")
	b = bencode.AppendString(b, pieces)
	b = bencode.AppendEnd(bencode.AppendEnd(b))
	mi, err := metainfo.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return data, mi
}

// memTracker is a tracker without a network. Its responses contain all other peers
// that have announced.
type memTracker struct {
	mu     sync.Mutex
	peers  map[spate.PeerID]netip.AddrPort
	seeds  map[spate.PeerID]bool
	events []tracker.Event
}

// newMemTracker returns a tracker without peers.
func newMemTracker() *memTracker {
	return &memTracker{peers: map[spate.PeerID]netip.AddrPort{}, seeds: map[spate.PeerID]bool{}}
}

// announcerAt returns the Announcer for a session at an address.
func (r *memTracker) announcerAt(addr netip.Addr) torrent.Announcer { return &memAnnouncer{r, addr} }

// memAnnouncer announces a session at an address to a memTracker.
type memAnnouncer struct {
	tracker *memTracker
	addr    netip.Addr
}

func (d *memAnnouncer) Announce(_ context.Context, _ string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	r := d.tracker
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, req.Event)
	resp := &tracker.AnnounceResponse{Interval: 10 * time.Minute, MinInterval: 30 * time.Second}
	if req.Event == tracker.EventStopped {
		delete(r.peers, req.PeerID)
		delete(r.seeds, req.PeerID)
		return resp, nil
	}
	r.peers[req.PeerID] = netip.AddrPortFrom(d.addr, req.Port)
	r.seeds[req.PeerID] = req.Left == 0
	for id, ap := range r.peers {
		if id != req.PeerID {
			resp.Peers = append(resp.Peers, ap)
		}
	}
	for id := range r.peers {
		if r.seeds[id] {
			resp.Complete++
		} else {
			resp.Incomplete++
		}
	}
	slices.SortFunc(resp.Peers, netip.AddrPort.Compare) // so that each run gets the same order
	return resp, nil
}

// simPeer is a session of a simulated swarm and its torrent.
type simPeer struct {
	session *torrent.Session
	torrent *torrent.Torrent
	store   storage.Storage
	done    time.Duration
}

// simulateSwarm runs an origin and the getters until all are complete. It returns
// their sessions with the time that each needed; the origin is first. It must run
// in a synctest bubble.
func simulateSwarm(t *testing.T, data []byte, mi *metainfo.MetaInfo, origin simnet.Link, getters []simnet.Link) []*simPeer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	world := simnet.New(simnet.Options{Seed: 1})
	r := newMemTracker()
	var all []*simPeer
	join := func(i int, link simnet.Link, seed bool) *simPeer {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i + 1)})
		s, err := torrent.NewSession(torrent.Options{
			Network: world.Host(addr, link), Announcer: r.announcerAt(addr), Bind: addr, PeerPort: 6881,
			PeerID: spate.PeerID([]byte(fmt.Sprintf("-Sp0100-%012d", i))), Seed: uint64(i + 1),
		})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { s.Run(ctx) })
		p := &simPeer{session: s, store: storage.NewMemoryLike(data)}
		opt := torrent.AddOptions{Storage: p.store}
		if seed {
			opt = torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}
		}
		if p.torrent, err = s.Add(mi, opt); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
		return p
	}
	join(0, origin, true)
	time.Sleep(time.Second) // the origin has announced
	start := time.Now()
	var getting sync.WaitGroup
	for i, link := range getters {
		p := join(i+1, link, false)
		getting.Go(func() {
			if err := p.torrent.Wait(ctx); err != nil {
				t.Errorf("the download of getter %d failed: %v", i, err)
			}
			p.done = time.Since(start)
		})
	}
	getting.Wait()
	for i, p := range all[1:] {
		got := make([]byte, len(data))
		if _, err := p.store.ReadAt(got, 0); err != nil || string(got) != string(data) {
			t.Errorf("getter %d has wrong data, or ReadAt failed: %v", i, err)
		}
	}
	return all
}

// mbit is a megabit for each second, in bytes for each second.
const mbit = 1e6 / 8

// TestSwarmOfFive checks that getters share the work of the origin. Four getters that
// upload 40 Mbit/s download a file from an origin that uploads 20 Mbit/s. They need
// at most twice the time that the origin needs to send the file once, and the
// origin sends at most two copies.
func TestSwarmOfFive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 32 << 20
		data, mi := makeTorrent(t, size, 256<<10)
		up := simnet.Link{Up: 40 * mbit, Latency: 5 * time.Millisecond}
		all := simulateSwarm(t, data, mi, simnet.Link{Up: 20 * mbit, Latency: 5 * time.Millisecond}, []simnet.Link{up, up, up, up})
		once := time.Duration(float64(size) / (20 * mbit) * float64(time.Second))
		for i, p := range all[1:] {
			t.Logf("getter %d took %.2f s, %.2f times the time to send one copy", i, p.done.Seconds(), p.done.Seconds()/once.Seconds())
			if p.done > 2*once {
				t.Errorf("getter %d took %v, want at most twice %v", i, p.done, once)
			}
		}
		if sent := all[0].torrent.Stats().Uploaded; sent > 2*size {
			t.Errorf("the origin sent %.2f copies, want at most 2", float64(sent)/size)
		} else {
			t.Logf("the origin sent %.2f copies", float64(sent)/size)
		}
	})
}
