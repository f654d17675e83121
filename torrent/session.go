package torrent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"spate"
	"spate/internal/ratelimit"
	"spate/internal/webseed"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent/internal/announce"
	"spate/torrent/internal/transport"
)

// Errors of a session.
var (
	// ErrClosed is returned by calls on a session that was closed.
	ErrClosed = errors.New("torrent: the session is closed")
	// ErrDuplicate is returned when a torrent is added that the session has already.
	ErrDuplicate = errors.New("torrent: already added")
	// ErrUnknown is returned for an info-hash that no torrent of the session has.
	ErrUnknown = errors.New("torrent: no such torrent in the session")
)

// Session runs any number of torrents. They share the peer port, the rate limits and the
// bound on open files. Its methods are safe for concurrent use.
type Session struct {
	opt          Options
	log          *slog.Logger
	listeners    []net.Listener
	port         uint16        // the port that the session listens on; 0 if it does not listen
	advertised   atomic.Uint32 // the port that peers are told; 0 means port
	lastIncoming atomic.Int64  // Unix time of the last connection from a public address; 0: none
	reachedAt    reachedAddrs  // addresses at which peers reached the session
	dht          atomic.Pointer[dhtNode]
	dialBacks    dialBacks
	asks         dialBackAsks
	up, down     *ratelimit.Limiter
	carried      struct{ up, down atomic.Int64 } // see Traffic
	order        orderly                         // the simulated network; nil for a real one
	pool         *storage.Pool
	buf          *transport.Buffers
	uploads      *transport.FreeList // buffers for the blocks of one write
	disk         chan struct{}       // a token for each disk operation in progress
	helpers      chan struct{}       // a token for each helper that finishes pieces; see finishpieces.go
	blockHashing chan struct{}       // a token for each connection that hashes blocks for its peer
	hashBudgets  hashBudgets
	announcer    *announce.Scheduler
	transports   *transportMemory
	encryption   encryption
	web          *webseed.Client

	punches punches

	channels channels
	events   sessionEvents
	ranges   *rangeServer // nil if the session serves no ranges

	ctx    context.Context // ends when the session does
	cancel context.CancelFunc
	wg     sync.WaitGroup // counts every goroutine of the session

	mu           sync.Mutex                  // guards the fields below
	torrents     map[spate.InfoHash]*Torrent // a hybrid has an entry for each of its hashes
	dormant      dormants
	fetches      map[spate.InfoHash]*metaFetch
	kept         map[spate.InfoHash]*keptConns // connections that are kept for a torrent whose metadata was found
	conns        int                           // connections and dials in progress
	dials        int                           // dials in progress
	closed       bool
	uselessAddrs map[netip.Addr]uselessAddr
	turnedAway   map[netip.Addr]time.Time // when a peer at each address found no connection slot
	handshakes   handshakes
	digests      digests
	noneDropped  time.Time // when dropFor last found no peer that could be dropped

	connSlots connSlots
}

// NewSession returns a session that listens for peers. The caller must then call Run.
func NewSession(opt Options) (*Session, error) {
	if err := opt.setDefaults(); err != nil {
		return nil, err
	}
	s := &Session{
		opt:          opt,
		log:          opt.Log,
		up:           ratelimit.New(opt.Up),
		down:         ratelimit.New(opt.Down),
		pool:         storage.NewPool(opt.OpenFiles),
		buf:          transport.NewBuffers(opt.ReadMemory, 2*runtime.GOMAXPROCS(0)),
		uploads:      transport.NewFreeList(uploadBatch, 16),
		disk:         make(chan struct{}, 4*runtime.GOMAXPROCS(0)),
		helpers:      make(chan struct{}, runtime.GOMAXPROCS(0)-1),
		blockHashing: make(chan struct{}, maxHashing),
		torrents:     map[spate.InfoHash]*Torrent{},
		dormant:      dormants{by: map[spate.InfoHash]*dormant{}},
		fetches:      map[spate.InfoHash]*metaFetch{},
		kept:         map[spate.InfoHash]*keptConns{},
		handshakes:   newHandshakes(),
		transports:   newTransportMemory(),
		encryption:   newEncryption(),
		digests:      newDigests(opt.Encryption),
	}
	s.advertised.Store(uint32(opt.AdvertisedPort))
	if s.order, _ = opt.Network.(orderly); s.order != nil {
		s.helpers = make(chan struct{}, 1) // a simulation does not depend on the processors
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	web := webseed.Options{Bind: opt.Bind, Resolver: opt.Resolver, Proxy: opt.Proxy, UserAgent: "spate/" + spate.Version}
	if _, system := opt.Network.(systemNetwork); !system {
		web.Dial = opt.Network.DialContext
	}
	s.web = webseed.NewClient(web)
	if err := s.listen(); err != nil {
		s.closeListeners()
		return nil, err
	}
	if s.servesRanges() {
		s.ranges = newRangeServer(s)
	}
	s.announcer = s.newScheduler()
	return s, nil
}

// PeerID returns the peer id that the session uses with trackers and peers.
func (s *Session) PeerID() spate.PeerID { return s.opt.PeerID }

// Run runs the session until ctx is done, and then closes it: it accepts no more
// connections, saves resume data and announces "stopped" to the trackers, within a few
// seconds. It returns nil after that. It may be called once.
func (s *Session) Run(ctx context.Context) error {
	for _, l := range s.listeners {
		s.spawn(func() { s.accept(l) })
	}
	if s.ranges != nil {
		s.spawn(s.ranges.run)
	}
	s.spawn(func() { s.announcer.Run(s.ctx) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.Close()
		case <-s.ctx.Done():
			return nil
		case now := <-tick.C:
			for _, t := range s.Torrents() {
				t.tick(now)
				t.noteTwinApart()
				t.linkTwin()
				if t.maySleep(now) {
					s.sleep(t)
				}
			}
			s.saveLedger(now)
		}
	}
}

// orderly is a simulated network that is deterministic, including the order in which
// goroutines run: see simnet.Host.Turn.
type orderly interface{ Turn() (wait func()) }

// inTurn wraps f, which will run in its own goroutine, so that a simulation decides when f
// runs.
func (s *Session) inTurn(f func()) func() {
	if s.order == nil {
		return f
	}
	wait := s.order.Turn()
	return func() {
		wait()
		f()
	}
}

// spawn runs f in a goroutine that Close waits for. After Close it returns false and does
// not run f.
func (s *Session) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

// Close closes the session, as Run does at its end. A second call waits for the first.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.ctx.Done()
		s.wg.Wait()
		return nil
	}
	s.closed = true
	all, swarms := s.allLocked()
	kept := slices.Collect(maps.Keys(s.kept))
	s.mu.Unlock()

	s.closeListeners()
	if s.ranges != nil {
		s.ranges.close()
	}
	for _, ih := range kept {
		s.closeKeptFor(ih)
	}
	// Announce "stopped" and write resume data at the same time.
	var ending sync.WaitGroup
	ending.Go(func() { s.announcer.Stop(swarms) })
	ending.Go(s.announcer.Leave)
	for _, t := range all {
		t.halt()
	}
	ending.Wait()
	s.cancel()
	if s.opt.WebRTC != nil {
		s.opt.WebRTC.Close()
	}
	s.wg.Wait()
	if s.ranges != nil {
		s.ranges.handlers.Wait()
	}
	for _, t := range all {
		t.finish()
	}
	s.writeLedger()
	s.announcer.SaveRecord()
	s.web.Close()
	s.pool.Close()
	return nil
}

// Add adds a torrent and starts it, unless opt.Stopped is set. Data on the disk is checked
// after Add has returned. Add returns ErrDuplicate if the session has a torrent with the
// same info-hash, and ErrClosed after Close.
func (s *Session) Add(mi *metainfo.MetaInfo, opt AddOptions) (*Torrent, error) {
	t, err := newTorrent(s, mi, opt)
	if err != nil {
		return nil, err
	}
	t.dormancy.announced = s.newSwarms(announced{t}, t.hash, t.hash2, t.mi.AnnounceList, t.info.Private, t.rng)
	s.mu.Lock()
	if err = s.takenLocked(t.hash, t.hash2); err == nil {
		s.enterLocked(t)
	}
	s.mu.Unlock()
	if err != nil {
		t.life.cancel()
		t.data.store.Close()
		return nil, fmt.Errorf("%w: %s", err, t.name)
	}
	if !opt.Stopped {
		t.Start()
	}
	return t, nil
}

// takenLocked returns an error if no torrent with these info-hashes can be added.
func (s *Session) takenLocked(hash, hash2 spate.InfoHash) error {
	if s.closed {
		return ErrClosed
	}
	for _, ih := range [2]spate.InfoHash{hash, hash2} {
		if !ih.IsZero() && (s.torrents[ih] != nil || s.dormant.by[ih] != nil) {
			return ErrDuplicate
		}
	}
	return nil
}

// enterLocked adds t to the torrents of the session.
func (s *Session) enterLocked(t *Torrent) {
	s.torrents[t.hash] = t
	s.nameLocked(t.hash)
	if !t.hash2.IsZero() {
		s.torrents[t.hash2] = t
		s.nameLocked(t.hash2)
	}
}

// leaveLocked removes t from the torrents of the session.
func (s *Session) leaveLocked(t *Torrent) {
	delete(s.torrents, t.hash)
	delete(s.torrents, t.hash2)
	s.unnameLocked(t.hash, t.hash2)
	if w := t.twin.Load(); w != nil {
		delete(s.torrents, w.hash)
		s.unnameLocked(w.hash)
	}
}

// Remove stops a torrent and removes it from the session. It keeps the data.
func (s *Session) Remove(ih spate.InfoHash) error {
	t, _, err := s.detach(ih)
	if t != nil {
		t.finish()
	}
	return err
}

// detach stops a torrent and removes it from the session. It returns either the torrent,
// which the caller must finish, or a dormant torrent, or an error.
func (s *Session) detach(ih spate.InfoHash) (*Torrent, *dormant, error) {
	s.mu.Lock()
	t, d := s.torrents[ih], s.dormant.by[ih]
	if t == nil && d == nil {
		s.mu.Unlock()
		return nil, nil, ErrUnknown
	}
	if d != nil {
		s.dormant.removeLocked(d)
		s.unnameLocked(d.hash, d.hash2)
	}
	if t == nil {
		s.mu.Unlock()
		s.announcer.Stop(d.anns)
		return nil, d, nil
	}
	s.leaveLocked(t)
	s.mu.Unlock()
	s.announcer.Stop(t.swarms())
	t.halt()
	return t, nil, nil
}

// Torrent returns the torrent with an info-hash, or nil if there is none or it is dormant.
func (s *Session) Torrent(ih spate.InfoHash) *Torrent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.torrents[ih]
}

// Torrents returns all torrents of the session except dormant ones, in no order.
func (s *Session) Torrents() []*Torrent {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Torrent, 0, len(s.torrents))
	for ih, t := range s.torrents {
		if ih == t.hash {
			all = append(all, t)
		}
	}
	return all
}

// allLocked returns every torrent that is not dormant, and the announced swarms of all
// torrents.
func (s *Session) allLocked() (torrents []*Torrent, swarms []*announce.Swarm) {
	for ih, t := range s.torrents {
		if ih == t.hash {
			torrents = append(torrents, t)
			swarms = append(swarms, t.swarms()...)
		}
	}
	for ih, d := range s.dormant.by {
		if ih == d.hash && s.torrents[ih] == nil {
			swarms = append(swarms, d.anns...)
		}
	}
	return torrents, swarms
}

// SetRates sets the rate limits of the session in bytes a second; 0 means no limit.
func (s *Session) SetRates(up, down int64) {
	s.up.SetRate(up)
	s.down.SetRate(down)
}

// Traffic returns the payload in bytes that all torrents of the session have sent and received since
// it was made, with what was received in vain.
func (s *Session) Traffic() (up, down int64) { return s.carried.up.Load(), s.carried.down.Load() }

// reserve counts one more connection, and one more dial if dial is set. It returns false if
// a limit is reached.
func (s *Session) reserve(dial bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.conns >= s.opt.MaxConns || dial && s.dials >= s.opt.MaxHalfOpen {
		return false
	}
	s.conns++
	if dial {
		s.dials++
	}
	return true
}

// dialed ends the reservation of a dial. If the dial failed, it also ends the reservation of
// the connection.
func (s *Session) dialed(connected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials--
	if !connected {
		s.conns--
	}
}

// hungUp ends the reservation of a connection.
func (s *Session) hungUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
}

// onDisk runs f, which uses the disk. It first waits while the allowed number of disk
// operations are in progress, so that a slow disk does not block a thread for every
// connection.
func (s *Session) onDisk(f func() error) error {
	s.disk <- struct{}{}
	defer func() { <-s.disk }()
	return f()
}
