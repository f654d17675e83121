package torrent_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
	"spate/torrent"
)

// member is a downloader of a simulated swarm. Times count from swarm.start.
type member struct {
	link           simnet.Link
	join           time.Duration // when it starts
	leave          time.Duration // when it leaves, complete or not; zero means at the end
	leavesWhenDone bool          // it leaves as soon as it is complete
	freeRide       bool          // it unchokes no peer
	program        program       // the program that it runs; "" means spate

	// Results.
	began, done, left time.Duration // done is zero if the download did not complete
	stats             torrent.Stats
}

// swarm is a simulation of an origin, which is the first seed, and members that
// download from it and from each other.
type swarm struct {
	size, piece int
	origin      simnet.Link
	originUp    int64   // limit of the upload rate that the origin knows, in bytes a second; 0: none
	originRuns  program // the program that the origin runs; "" means spate
	members     []*member
	seed        uint64

	// Results.
	originStats torrent.Stats
	firstCopy   int64         // bytes that the origin had sent when the members together had all pieces
	firstAt     time.Duration // when the members together had all pieces
	end         time.Duration // when the last download completed

	t        *testing.T
	mi       *metainfo.MetaInfo
	data     []byte
	world    *simnet.Network
	tracker  *memTracker
	written  *writtenPieces
	start    time.Time
	waiting  sync.WaitGroup // members that are neither complete nor gone
	finished chan struct{}  // closed when all members are complete or gone
}

// writtenPieces records which pieces the members together have.
type writtenPieces struct {
	mu           sync.Mutex
	pieceLength  int64
	have         map[int64]bool
	total        int
	whenComplete func()
}

// record records the piece at an offset. It calls whenComplete after the last piece.
func (w *writtenPieces) record(off int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := off / w.pieceLength; !w.have[i] {
		w.have[i] = true
		if len(w.have) == w.total {
			w.whenComplete()
		}
	}
}

// recordingStorage records each write, because the engine writes verified pieces
// only.
type recordingStorage struct {
	storage.Storage
	written *writtenPieces
}

func (n recordingStorage) WriteAt(p []byte, off int64) (int, error) {
	n.written.record(off)
	return n.Storage.WriteAt(p, off)
}

// chokingNetwork is the network of a peer that unchokes no other peer.
type chokingNetwork struct{ *simnet.Host }

func (r chokingNetwork) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := r.Host.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &chokingConn{Conn: c}, nil
}

func (r chokingNetwork) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := r.Host.Listen(ctx, network, address)
	return chokingListener{l}, err
}

// chokingListener accepts connections of a chokingNetwork.
type chokingListener struct{ net.Listener }

func (l chokingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &chokingConn{Conn: c}, nil
}

// chokingConn removes unchoke messages from the data written to it. Each write must
// be the handshake or complete messages.
type chokingConn struct {
	net.Conn
	handshakeSent bool
}

func (c *chokingConn) Write(p []byte) (int, error) {
	if !c.handshakeSent {
		c.handshakeSent = true
		return c.Conn.Write(p)
	}
	var out []byte
	for rest := p; len(rest) > 0; {
		var m peerwire.Message
		n, _, err := peerwire.Parse(rest, &m)
		if err != nil || n == 0 {
			return 0, fmt.Errorf("the write does not end with a complete message: %v", err)
		}
		if m.ID != peerwire.Unchoke {
			out = append(out, rest[:n]...)
		}
		rest = rest[n:]
	}
	if len(out) > 0 {
		if _, err := c.Conn.Write(out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// run runs the simulation in its own synctest bubble.
func (sw *swarm) run(t *testing.T) {
	t.Helper()
	sw.data, sw.mi = makeTorrent(t, sw.size, sw.piece)
	synctest.Test(t, sw.simulate)
	for _, m := range sw.members {
		sw.end = max(sw.end, m.done)
	}
}

// simulate starts the origin and the members, and waits until all members are
// complete or gone.
func (sw *swarm) simulate(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	sw.t, sw.tracker, sw.finished = t, newMemTracker(), make(chan struct{})
	sw.world = simnet.New(simnet.Options{Seed: sw.seed, Lockstep: true, Window: 64 << 10})
	originStats := sw.startOrigin(ctx, &wg)
	time.Sleep(time.Second) // the origin has announced
	sw.start = time.Now()
	sw.written = &writtenPieces{pieceLength: int64(sw.piece), have: map[int64]bool{}, total: sw.mi.Info.NumPieces(), whenComplete: func() {
		sw.firstCopy = originStats().Uploaded
		sw.firstAt = time.Since(sw.start)
	}}
	for i, m := range sw.members {
		sw.waiting.Add(1)
		wg.Go(func() { sw.runMember(ctx, i+1, m) })
	}
	limit := time.AfterFunc(2*time.Hour, func() {
		t.Error("some members are not complete after two hours")
		cancel()
	})
	sw.waiting.Wait()
	limit.Stop()
	sw.originStats = originStats()
	close(sw.finished)
}

// startOrigin starts the origin, and returns a function that returns its statistics.
func (sw *swarm) startOrigin(ctx context.Context, wg *sync.WaitGroup) (stats func() torrent.Stats) {
	if sw.originRuns != "" {
		p := sw.foreignPeer(0, sw.origin, sw.originRuns, true)
		wg.Go(func() { sw.runForeign(ctx, p) })
		return p.currentStats
	}
	s := sw.session(0, sw.origin, false)
	wg.Go(func() { s.Run(ctx) })
	tor, err := s.Add(sw.mi, torrent.AddOptions{Storage: storage.NewMemoryOf(sw.data), Verified: true})
	if err != nil {
		sw.t.Fatal(err)
	}
	return tor.Stats
}

// addrOf returns the address of member i; the origin is 0.
func addrOf(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i * 37), byte(i >> 8), byte(i + 1)})
}

// session returns session i of the swarm; the origin is 0.
func (sw *swarm) session(i int, link simnet.Link, freeRide bool) *torrent.Session {
	addr := addrOf(i)
	host := sw.world.Host(addr, link)
	var network torrent.Network = host
	if freeRide {
		network = chokingNetwork{host}
	}
	var up int64
	if i == 0 {
		up = sw.originUp
	}
	s, err := torrent.NewSession(torrent.Options{
		// The encrypted handshake has padding of random length, which would make runs differ.
		Encryption: torrent.EncryptionOff,
		Up:         up, Network: network, Announcer: sw.tracker.announcerAt(addr), Bind: addr, PeerPort: 6881,
		PeerID: spate.PeerID([]byte(fmt.Sprintf("-Sp0100-%012d", i))), Seed: sw.seed*1000 + uint64(i+1),
	})
	if err != nil {
		sw.t.Fatal(err)
	}
	return s
}

// runMember starts member i and waits until it leaves.
func (sw *swarm) runMember(ctx context.Context, i int, m *member) {
	time.Sleep(m.join + time.Duration(i)*time.Microsecond) // no two members start at the same time
	if m.program != "" {
		sw.runForeignMember(ctx, i, m)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := sw.session(i, m.link, m.freeRide)
	var run sync.WaitGroup
	run.Go(func() { s.Run(ctx) })
	store := storage.NewMemoryLike(sw.data)
	tor, err := s.Add(sw.mi, torrent.AddOptions{Storage: recordingStorage{store, sw.written}})
	if err != nil {
		sw.t.Error(err)
		return
	}
	m.began = time.Since(sw.start)
	if m.leave > 0 {
		time.AfterFunc(m.leave-m.began, cancel)
	}
	switch err := tor.Wait(ctx); {
	case err == nil:
		m.done = time.Since(sw.start)
		got := make([]byte, len(sw.data))
		if _, err := store.ReadAt(got, 0); err != nil || string(got) != string(sw.data) {
			sw.t.Errorf("member %d has wrong data, or ReadAt failed: %v", i, err)
		}
	case ctx.Err() == nil:
		sw.t.Errorf("the download of member %d failed: %v", i, err)
	}
	sw.waiting.Done()
	if !m.leavesWhenDone {
		select {
		case <-sw.finished:
		case <-ctx.Done():
		}
	}
	cancel()
	run.Wait()
	m.stats = tor.Stats()
	m.left = time.Since(sw.start)
}

// lowerBound returns the least time that the downloads need with these links. The
// origin must send all data once, each member must receive it, and the upload links
// of the peers that are present must carry the data of all.
func (sw *swarm) lowerBound() time.Duration {
	f := float64(sw.size)
	worst := f / float64(sw.origin.Up)
	demand := 0.0
	for _, m := range sw.members {
		demand += float64(m.stats.BytesDone)
		if m.link.Down > 0 && m.done > 0 {
			worst = max(worst, m.began.Seconds()+f/float64(m.link.Down))
		}
	}
	const step = 0.01
	at := 0.0
	for ; demand > 0; at += step {
		demand -= step * float64(sw.origin.Up)
		for _, m := range sw.members {
			if !m.freeRide && m.began.Seconds() <= at && at < m.left.Seconds() {
				demand -= step * float64(m.link.Up)
			}
		}
	}
	return time.Duration(max(worst, at) * float64(time.Second))
}

// report logs the results. It returns the duration as a multiple of the lower bound,
// and how many copies of the data the origin sent.
func (sw *swarm) report(t *testing.T) (times, copies float64) {
	t.Helper()
	var all []float64
	wasted := int64(0)
	for _, m := range sw.members {
		if m.done > 0 {
			all = append(all, (m.done - m.began).Seconds())
		}
		wasted += m.stats.Wasted
	}
	slices.Sort(all)
	f, bound := float64(sw.size), sw.lowerBound()
	times = sw.end.Seconds() / bound.Seconds()
	copies = float64(sw.originStats.Uploaded) / f
	t.Logf("%d of %d members are complete after %.2f s, %.3f times the lower bound of %.2f s; median %.1f s; wasted %.1f %%",
		len(all), len(sw.members), sw.end.Seconds(), times, bound.Seconds(), all[len(all)/2], 100*float64(wasted)/f/float64(len(all)))
	t.Logf("the origin sent %.3f copies, and %.3f until the members together had all pieces, after %.3f times the least time for a copy",
		copies, float64(sw.firstCopy)/f, sw.firstAt.Seconds()/(f/float64(sw.origin.Up)))
	return times, copies
}
