package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"spate/internal/fault"
	"spate/internal/ipfilter"
	"spate/internal/reach"
	"spate/internal/udpmux"
	"spate/internal/uplink"
	"spate/lsd"
	"spate/torrent"
	"spate/tracker/trackerclient"
)

// SessionConfig configures the engine of a process.
type SessionConfig struct {
	// Options of the engine. OpenSession sets Announcer and Log. ResumeDir is required and is
	// created.
	Options torrent.Options
	AnyPort bool             // use any free port if none of the ports in Options is free
	Peers   []netip.AddrPort // peers to connect to for every torrent; callers that add torrents use them

	TrackerTimeout time.Duration                             // timeout of announces; 0: the default of the tracker client
	WrapAnnouncer  func(torrent.Announcer) torrent.Announcer // wraps the tracker client; may be nil

	NoLSD    bool           // do not find peers on the local network
	LSDGroup netip.AddrPort // multicast group for local peers; the zero value is that of BEP 14
	NoUTP    bool           // use TCP only, and refuse connections by uTP at once
	NoWebRTC bool           // do not connect to browsers
	// PortMap configures the mappings at the router; nil: none.
	PortMap *PortMapConfig
	// OnReach is called with what is known about whether others can connect, and with each
	// change. It may be nil.
	OnReach func(reach.Status)

	NoDHT         bool // do not find peers by the DHT
	NoDHTAnnounce bool // find peers by the DHT, but announce nothing there
	// DHTBootstrap lists nodes of the DHT as HOST:PORT. If it is empty, the session uses
	// well-known ones, or no DHT if it is bound to loopback.
	DHTBootstrap []string
	// IPFilter lists files with addresses that peers may not have (package ipfilter).
	IPFilter []string
	// NoUplink turns off the limit that the session learns if Options.Up is 0.
	NoUplink bool
}

// Session is an engine that runs until [Session.Stop].
type Session struct {
	up, down atomic.Int64 // limits that the user gave; 0: none
	*torrent.Session
	Local bool // the session finds peers on the local network
	DHT   bool // the session finds peers by the DHT

	env     *Env
	udp     *udpmux.Mux // the UDP port of the peers; nil if there is none
	nodes   *dhtSource  // nil if there is no DHT
	cancel  context.CancelFunc
	ended   chan struct{}
	tracker *trackerclient.Client
	ports   *ports    // mappings at the router; nil: none
	seen    *seenAddr // the address that trackers see
	asks    dialBacks // what peers say that were asked to connect
	onReach func(reach.Status)
	noTCP   bool             // peers connect by uTP only
	bind    netip.Addr       // the local address; the zero Addr: any
	site    uint16           // port of the site that is mapped too; 0: none
	line    *uplink.Line     // limits all senders of the process but WebRTC; nil: they are not limited
	filter  *ipfilter.Filter // addresses that peers may not have; nil: none
	once    sync.Once
}

// OpenSession starts an engine.
func OpenSession(env *Env, c SessionConfig) (_ *Session, err error) {
	env.useProxy(&c)
	opt := c.Options
	if err := os.MkdirAll(opt.ResumeDir, 0o700); err != nil {
		return nil, fault.WithSetting(err, "state")
	}
	filter, err := env.openIPFilter(c.IPFilter)
	if err != nil {
		return nil, err
	}
	if filter != nil {
		opt.Blocked = filter.Blocks
	}
	var udp *udpmux.Mux
	defer func() {
		if err != nil && udp != nil {
			udp.Close()
		}
	}()
	trk, err := trackerclient.New(trackerclient.Options{
		LocalAddr: opt.Bind, Timeout: c.TrackerTimeout, Proxy: env.Out.Chooser(),
		DialUDP: func(_ context.Context, _, address string) (net.Conn, error) { return dialTracker(udp, address) },
	})
	if err != nil {
		return nil, err
	}
	seen := &seenAddr{Announcer: trk, now: env.Now}
	opt.Announcer, opt.Log = seen, env.Log
	if env.Out.Only() == nil {
		opt.DialBackUDP = dialBackSender(opt.Bind)
	}
	if c.WrapAnnouncer != nil {
		opt.Announcer = c.WrapAnnouncer(seen)
	}
	var line *uplink.Line
	if opt.Up == 0 && !c.NoUplink {
		line = uplink.NewLine()
		opt.Uplink = func(nc net.Conn) torrent.SendLimit { return line.Track(nc) }
	}
	var self atomic.Pointer[Session]
	opt.OfferRanges = func() bool { return mayReach(self.Load()) }
	at := &channelAddr{now: env.Now}
	s, udp, err := env.newSession(opt, portUse{c.NoUTP, c.NoWebRTC, at}, c.AnyPort)
	if err != nil {
		trk.Close()
		return nil, err
	}
	ports, err := env.openPorts(c.PortMap, opt.Bind, s.PeerPort(), opt.NoTCP)
	if err != nil {
		s.Close()
		trk.Close()
		return nil, err
	}
	nodes, err := env.openDHT(&c, s, udp)
	if err != nil {
		if ports != nil {
			ports.record.close()
		}
		s.Close()
		trk.Close()
		return nil, err
	}
	local, err := env.localPeers(&c, s, nodes)
	if err != nil {
		if ports != nil {
			ports.record.close()
		}
		s.Close()
		trk.Close()
		return nil, err
	}
	d := &Session{Session: s, filter: filter, Local: local != nil, DHT: nodes != nil, nodes: nodes, env: env, udp: udp, noTCP: opt.NoTCP, tracker: trk, ports: ports, seen: seen, onReach: c.OnReach, bind: opt.Bind, line: line, ended: make(chan struct{})}
	d.up.Store(opt.Up)
	d.down.Store(opt.Down)
	if c.PortMap != nil {
		d.site = c.PortMap.site
	}
	at.set(d)
	self.Store(d)
	var ctx context.Context
	ctx, d.cancel = context.WithCancel(context.Background())
	if udp != nil && nodes == nil {
		udp.Receive(udpmux.DHT, withoutDialBacks(s, nil))
	}
	go d.run(ctx, local)
	return d, nil
}

// run runs the engine and its helpers until ctx ends. local may be nil.
func (s *Session) run(ctx context.Context, local *lsd.Service) {
	defer close(s.ended)
	var wg sync.WaitGroup
	defer wg.Wait()
	if local != nil {
		wg.Go(func() { local.Run(ctx) })
	}
	if s.nodes != nil {
		wg.Go(func() { s.nodes.run(ctx) })
	}
	if s.udp != nil {
		// The engine announces "stopped" after ctx has ended.
		announced, stop := context.WithCancel(context.Background())
		defer func() {
			s.env.Log.Debug("closing the UDP port of the peers", "counts", s.udp.Stats())
			stop()
		}()
		wg.Go(func() { s.udp.Run(announced) })
	}
	if s.ports != nil {
		wg.Go(func() { s.ports.Run(ctx) })
	}
	if at := s.env.Proxy(); at != "" && s.onReach != nil {
		s.onReach(throughProxy(at))
	}
	if s.askable() {
		wg.Go(func() { s.watchReach(ctx, s.onReach) })
		wg.Go(func() { s.askPeers(ctx) })
	}
	if s.filter != nil {
		wg.Go(func() { s.followFilter(ctx) })
	}
	if s.line != nil {
		wg.Go(func() { s.line.Run(ctx) })
	}
	if err := s.Session.Run(ctx); err != nil {
		s.env.Log.Error("the session ended", "err", err)
	}
}

// localPeers returns the service that finds peers on the local network, or nil if that is
// disabled or impossible. The clients that it finds may be nodes of the DHT; nodes may be nil.
func (e *Env) localPeers(c *SessionConfig, s *torrent.Session, nodes *dhtSource) (*lsd.Service, error) {
	if c.NoLSD || s.PeerPort() == 0 {
		return nil, nil
	}
	opt := lsd.Options{Bind: c.Options.Bind, Log: e.Log}
	if nodes != nil {
		opt.Neighbour = nodes.addNeighbour
	}
	if c.LSDGroup.IsValid() {
		opt.Groups = []netip.AddrPort{c.LSDGroup}
	}
	l, err := lsd.New(s, opt)
	if errors.Is(err, lsd.ErrLoopback) {
		return nil, nil
	}
	return l, err
}

// peerAddr returns the address that peers should connect to.
func peerAddr(bind netip.Addr, port uint16) string {
	if !bind.IsValid() {
		return fmt.Sprintf(":%d", port)
	}
	return netip.AddrPortFrom(bind, port).String()
}

// Stop stops the engine: it saves resume data and announces "stopped" to the trackers, and
// waits for the end. Further calls do nothing.
func (s *Session) Stop() {
	s.once.Do(func() {
		s.cancel()
		<-s.ended
		s.tracker.Close()
	})
}

// PeerAddr returns the address under which peers reach the engine, or "" if it does not listen.
func (s *Session) PeerAddr() string {
	if at := s.Addr(); at.IsValid() {
		return at.String()
	}
	return ""
}
