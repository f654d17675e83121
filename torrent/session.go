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
	"strconv"
	"sync"
	"syscall"
	"time"

	"spate"
	"spate/internal/ratelimit"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent/internal/webseed"
)

// Errors of a session.
var (
	// ErrClosed is the error of calls on a session that has ended.
	ErrClosed = errors.New("torrent: the session is closed")
	// ErrDuplicate is the error for adding a torrent that is there already.
	ErrDuplicate = errors.New("torrent: already added")
	// ErrUnknown is the error for a torrent that is not in the session.
	ErrUnknown = errors.New("torrent: no such torrent in the session")
)

// PortError says that no port for peers could be had.
type PortError struct {
	First, Last uint16
	Err         error
}

func (e *PortError) Error() string {
	if e.First == e.Last {
		return fmt.Sprintf("peer port %d: %v", e.First, e.Err)
	}
	return fmt.Sprintf("peer ports %d to %d: %v", e.First, e.Last, e.Err)
}

func (e *PortError) Unwrap() error { return e.Err }

// Session runs any number of torrents over shared ports, limits and files. Its
// methods are safe for concurrent use.
type Session struct {
	opt         Options
	log         *slog.Logger
	listeners   []net.Listener
	port        uint16
	up, down    *ratelimit.Limiter
	order       orderly // nil where the network is real
	pool        *storage.Pool
	buf         *buffers
	disk        chan struct{} // a place for each operation on the disk at once
	helpers     chan struct{} // a place for each helper that finishes pieces; see finish.go
	pauses      chan struct{} // a place for each reader that may pause; see pause_linux.go
	leafHashing chan struct{} // a place for each connection that hashes blocks for its peer
	announcer   *announcer
	web         *webseed.Client

	ctx    context.Context // ends when the session does
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine of the session

	mu           sync.Mutex                  // guards what follows
	torrents     map[spate.InfoHash]*Torrent // a hybrid stands under both its hashes
	dormant      dormants
	fetches      map[spate.InfoHash]*metaFetch
	kept         map[spate.InfoHash]*keptConns // connections of searches for metadata, for the torrents to come
	conns        int                           // connections and dials under way
	dials        int                           // dials under way
	closed       bool
	uselessAddrs map[netip.Addr]uselessAddr
	handshakes   handshakes
	noneDropped  time.Time // when no torrent had a peer to drop for a newcomer

	connSlots connSlots
}

// NewSession opens the listeners and returns a session that Run then works.
func NewSession(opt Options) (*Session, error) {
	if err := opt.setDefaults(); err != nil {
		return nil, err
	}
	s := &Session{
		opt:         opt,
		log:         opt.Log,
		up:          ratelimit.New(opt.Up),
		down:        ratelimit.New(opt.Down),
		pool:        storage.NewPool(opt.OpenFiles),
		buf:         newBuffers(opt.ReadMemory),
		disk:        make(chan struct{}, 4*runtime.GOMAXPROCS(0)),
		helpers:     make(chan struct{}, runtime.GOMAXPROCS(0)-1),
		pauses:      make(chan struct{}, 2*runtime.GOMAXPROCS(0)),
		leafHashing: make(chan struct{}, leafBusy),
		torrents:    map[spate.InfoHash]*Torrent{},
		dormant:     dormants{by: map[spate.InfoHash]*dormant{}},
		fetches:     map[spate.InfoHash]*metaFetch{},
		kept:        map[spate.InfoHash]*keptConns{},
		handshakes:  newHandshakes(),
	}
	s.order, _ = opt.Network.(orderly)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	web := webseed.Options{Bind: opt.Bind, UserAgent: "spate/" + spate.Version}
	if _, system := opt.Network.(systemNetwork); !system {
		web.Dial = opt.Network.DialContext
	}
	s.web = webseed.NewClient(web)
	if !opt.NoListen {
		if err := s.listen(); err != nil {
			return nil, err
		}
	}
	s.announcer = newAnnouncer(s)
	return s, nil
}

// listen opens the same port on every family, the first of the range that is free.
func (s *Session) listen() error {
	var firstErr error
	for port := int(s.opt.PeerPort); port <= int(s.opt.PeerPortLast); port++ {
		err := s.listenOn(uint16(port))
		if err == nil {
			return nil
		}
		if firstErr == nil {
			firstErr = err
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			break
		}
	}
	return &PortError{s.opt.PeerPort, s.opt.PeerPortLast, firstErr}
}

func (s *Session) listenOn(port uint16) error {
	host, networks := "", []string{"tcp"}
	if s.opt.Bind.IsValid() {
		host = s.opt.Bind.String()
	}
	l, err := s.opt.Network.Listen(s.ctx, networks[0], net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	s.listeners = []net.Listener{l}
	ap, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		l.Close()
		return fmt.Errorf("torrent: address of the listener: %w", err)
	}
	s.port = ap.Port()
	return nil
}

// PeerPort returns the port that peers connect to, 0 without a listener.
func (s *Session) PeerPort() uint16 { return s.port }

// Addr returns the address that the session listens on for peers.
func (s *Session) Addr() netip.AddrPort {
	if len(s.listeners) == 0 {
		return netip.AddrPort{}
	}
	ap, _ := netip.ParseAddrPort(s.listeners[0].Addr().String())
	return ap
}

// PeerID returns the id by which trackers and peers know the session.
func (s *Session) PeerID() spate.PeerID { return s.opt.PeerID }

// Run works the session until ctx is done, then stops it: nothing new is
// accepted, resume data is saved and the trackers are told, within a few
// seconds. It returns nil after a stop, and may be called once.
func (s *Session) Run(ctx context.Context) error {
	for _, l := range s.listeners {
		s.spawn(func() { s.accept(l) })
	}
	s.spawn(func() { s.announcer.run(s.ctx) })
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
				if t.drowsy(now) {
					s.sleep(t)
				}
			}
			s.saveLedger(now)
		}
	}
}

// orderly is a simulated network in which nothing is left to chance, the order of
// goroutines included: see simnet.Host.Turn.
type orderly interface{ Turn() (wait func()) }

// inTurn returns f as it is to be run in a goroutine of its own.
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

// spawn runs f as a goroutine that Close waits for. It does nothing, and says
// so, once the session is closed.
func (s *Session) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

// Close stops the session as the end of Run does. A second call waits for the
// first and does nothing.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.ctx.Done()
		s.wg.Wait()
		return nil
	}
	s.closed = true
	all := make([]*Torrent, 0, len(s.torrents))
	var swarms []*announceState
	kept := slices.Collect(maps.Keys(s.kept))
	for ih, t := range s.torrents {
		if ih == t.hash {
			all = append(all, t)
			swarms = append(swarms, t.anns...)
		}
	}
	for ih, d := range s.dormant.by {
		if ih == d.hash && s.torrents[ih] == nil {
			swarms = append(swarms, d.anns...)
		}
	}
	s.mu.Unlock()

	for _, l := range s.listeners {
		l.Close()
	}
	for _, ih := range kept {
		s.closeKeptFor(ih)
	}
	// The announces of the end and the writing of resume data overlap.
	var ending sync.WaitGroup
	ending.Go(func() { s.announcer.stopAll(swarms) })
	for _, t := range all {
		t.halt()
	}
	ending.Wait()
	s.cancel()
	s.wg.Wait()
	for _, t := range all {
		t.finish()
	}
	s.writeLedger()
	s.web.Close()
	s.pool.Close()
	return nil
}

// Add takes a torrent into the session and starts it, unless opt says otherwise.
// The check of what is on disk goes on after Add has returned.
func (s *Session) Add(mi *metainfo.MetaInfo, opt AddOptions) (*Torrent, error) {
	t, err := newTorrent(s, mi, opt)
	if err != nil {
		return nil, err
	}
	t.anns = s.newAnnounceStates(t, t.hash, t.hash2, t.mi.AnnounceList, t.rng)
	s.mu.Lock()
	if err = s.takenLocked(t.hash, t.hash2); err == nil {
		s.enterLocked(t)
	}
	s.mu.Unlock()
	if err != nil {
		t.cancel()
		t.store.Close()
		return nil, fmt.Errorf("%w: %s", err, t.name)
	}
	if !opt.Stopped {
		t.Start()
	}
	return t, nil
}

// takenLocked reports why no torrent with these hashes can come into the session.
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

func (s *Session) enterLocked(t *Torrent) {
	s.torrents[t.hash] = t
	if !t.hash2.IsZero() {
		s.torrents[t.hash2] = t
	}
}

// Remove stops a torrent and forgets it. Its data stays.
func (s *Session) Remove(ih spate.InfoHash) error {
	t, err := s.detach(ih)
	if t != nil {
		t.finish()
	}
	return err
}

// detach stops a torrent and takes it out of the session. The caller finishes it;
// of a dormant one there is nothing to finish, and detach returns nil.
func (s *Session) detach(ih spate.InfoHash) (*Torrent, error) {
	s.mu.Lock()
	t, d := s.torrents[ih], s.dormant.by[ih]
	if t == nil && d == nil {
		s.mu.Unlock()
		return nil, ErrUnknown
	}
	if d != nil {
		s.dormant.removeLocked(d)
	}
	if t == nil {
		s.mu.Unlock()
		s.announcer.stopAll(d.anns)
		return nil, nil
	}
	delete(s.torrents, t.hash)
	delete(s.torrents, t.hash2)
	s.mu.Unlock()
	s.announcer.stopAll(t.anns)
	t.halt()
	return t, nil
}

// Torrent returns the torrent of that info-hash, or nil. Of one that is dormant
// there is no Torrent.
func (s *Session) Torrent(ih spate.InfoHash) *Torrent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.torrents[ih]
}

// Torrents returns every torrent of the session that is not dormant, in no order.
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

// SetRates changes the limits of the session, in bytes a second; 0 lifts one.
func (s *Session) SetRates(up, down int64) {
	s.up.SetRate(up)
	s.down.SetRate(down)
}

// reserve takes a place for one more connection; a dial also takes one of those.
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

// dialed gives the place of a dial back, and that of the connection too unless
// the dial led to one.
func (s *Session) dialed(connected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials--
	if !connected {
		s.conns--
	}
}

// hungUp gives the place of a connection back.
func (s *Session) hungUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
}

// onDisk runs f while holding one of the places for operations on the disk, so
// that a slow disk does not tie up a thread for every connection.
func (s *Session) onDisk(f func() error) error {
	s.disk <- struct{}{}
	defer func() { <-s.disk }()
	return f()
}
