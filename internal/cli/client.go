package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/internal/notutp"
	"spate/lsd"
	"spate/torrent"
	"spate/tracker/trackerclient"
)

// First and last of the ports for peers, when the person names none.
const (
	firstPeerPort = 6881
	lastPeerPort  = 6889
)

// clientFlags are the flags of everything that is a peer.
type clientFlags struct {
	bind     addrValue
	peerPort int // -1: the first free one of the range
	up, down rateValue
	seedMode seedModeValue
	peers    peersValue
	state    string
	noPEX    bool
	noLSD    bool
	noUTP    bool
	lsdGroup string

	// What has no flag of its own here.
	tune           func(*torrent.Options)
	trackerTimeout time.Duration // 0: the client's own
}

func (c *clientFlags) add(f *pflag.FlagSet) {
	f.Var(&c.up, "up", "limit for sending, in bytes a second: 500k, 2M, 1Mi")
	f.Var(&c.down, "down", "limit for receiving")
	f.Var(&c.seedMode, "seed-mode", "who is served while seeding: round-robin, or anti-leech: who had least")
	f.Var(&c.peers, "peer", "connect to this peer too, given as IP:PORT; repeatable")
	f.IntVar(&c.peerPort, "peer-port", -1, "`PORT` for peers; 0: any (default: the first free one of 6881 to 6889)")
	f.Lookup("peer-port").DefValue = ""
	bindFlag(f, &c.bind)
	stateFlag(f, &c.state)
	f.BoolVar(&c.noPEX, "no-pex", false, "do not learn of peers from peers")
	f.BoolVar(&c.noLSD, "no-lsd", false, "do not look for peers on the local network")
	f.StringVar(&c.lsdGroup, "lsd-group", "", "the multicast group for that, as IP:PORT (default that of BEP 14)")
	f.Lookup("lsd-group").DefValue = ""
	f.BoolVar(&c.noUTP, "no-utp", false, "leave the UDP port of --peer-port closed, on which who dials by uTP is told to take TCP")
	// What is not there to be turned off is accepted all the same.
	for _, name := range []string{"no-dht", "no-portmap"} {
		f.Bool(name, false, "do without "+name[len("no-"):])
		f.Lookup(name).Hidden = true
	}
}

func stateFlag(f *pflag.FlagSet, v *string) {
	f.StringVar(v, "state", "", "remember everything in this `DIR` (default $XDG_STATE_HOME/spate)")
}

// client is a session of torrents that runs until stop.
type client struct {
	app     *app
	session *torrent.Session
	cancel  context.CancelFunc
	ended   chan struct{}
	trk     *trackerclient.Client
	local   bool // peers of the local network are found
	once    sync.Once
}

// newClient starts a session. resume is the directory of its resume data, and
// announcer takes the place of a tracker client when it is not nil.
func (a *app) newClient(f *clientFlags, resume string, announcer func(torrent.Announcer) torrent.Announcer) (*client, error) {
	if f.peerPort < -1 || f.peerPort > 65535 {
		return nil, fault.Usagef("--peer-port %d: a port is a number from 0 to 65535", f.peerPort)
	}
	if err := os.MkdirAll(resume, 0o700); err != nil {
		return nil, fault.WithHint(err, "choose another directory with --state DIR")
	}
	trk, err := trackerclient.New(trackerclient.Options{LocalAddr: f.bind.Addr, Timeout: f.trackerTimeout})
	if err != nil {
		return nil, err
	}
	var ann torrent.Announcer = trk
	if announcer != nil {
		ann = announcer(trk)
	}
	opt := torrent.Options{
		Announcer: ann, Bind: f.bind.Addr, ResumeDir: resume, Up: int64(f.up), Down: int64(f.down), Log: a.Log,
		PeerPort: uint16(max(f.peerPort, 0)), NoPEX: f.noPEX, SeedMode: torrent.SeedMode(f.seedMode),
	}
	if f.peerPort < 0 {
		opt.PeerPort, opt.PeerPortLast = firstPeerPort, lastPeerPort
	}
	if f.tune != nil {
		f.tune(&opt)
	}
	s, err := torrent.NewSession(opt)
	var port *torrent.PortError
	if errors.As(err, &port) && f.peerPort < 0 && !errors.Is(port.Err, syscall.EADDRNOTAVAIL) {
		a.Warnf("no port from %d to %d is free for peers; taking any other", opt.PeerPort, opt.PeerPortLast)
		opt.PeerPort, opt.PeerPortLast = 0, 0
		s, err = torrent.NewSession(opt)
	}
	if err != nil {
		trk.Close()
		if errors.As(err, &port) {
			return nil, listenError(port.Err, "the seed", "tcp", peerListen(f.bind.Addr, port.First), "--peer-port")
		}
		return nil, err
	}
	local, err := a.localPeers(f, s)
	if err != nil {
		s.Close()
		trk.Close()
		return nil, err
	}
	utp := a.refuseUTP(f, s.PeerPort())
	c := &client{app: a, session: s, trk: trk, local: local != nil, ended: make(chan struct{})}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(c.ended)
		var beside sync.WaitGroup
		defer beside.Wait()
		if local != nil {
			beside.Go(func() { local.Run(ctx) })
		}
		if utp != nil {
			beside.Go(func() { utp.Run(ctx) })
		}
		if err := s.Run(ctx); err != nil {
			a.Log.Error("the session ended", "err", err)
		}
	}()
	return c, nil
}

// refuseUTP returns what tells those who dial port by uTP to take TCP; nil where that
// is not to be done, or the UDP port is somebody else's.
func (a *app) refuseUTP(f *clientFlags, port uint16) *notutp.Responder {
	if f.noUTP || port == 0 { // nobody can dial
		return nil
	}
	utp, err := notutp.Listen(f.bind.Addr, port)
	if err != nil {
		a.Log.Debug("who dials by uTP is not told to take TCP", "err", err)
		return nil
	}
	return utp
}

// Of peers of the local network: how long they are waited for where nobody else can
// be asked, and what is said when there were none.
const (
	localSearch = 15 * time.Second
	nobodyLocal = ", and nobody on the local network has it"
)

// localPeers returns what finds peers on the local network; nil where it is not to
// be done.
func (a *app) localPeers(f *clientFlags, s *torrent.Session) (*lsd.Service, error) {
	if f.noLSD || s.PeerPort() == 0 {
		return nil, nil
	}
	opt := lsd.Options{Bind: f.bind.Addr, Log: a.Log}
	if f.lsdGroup != "" {
		g, err := netip.ParseAddrPort(f.lsdGroup)
		if err != nil || !g.Addr().IsMulticast() || g.Port() == 0 {
			return nil, fault.Usagef("--lsd-group %s: want a multicast address with a port, such as %v", f.lsdGroup, lsd.Group4)
		}
		opt.Groups = []netip.AddrPort{g}
	}
	l, err := lsd.New(s, opt)
	if errors.Is(err, lsd.ErrLoopback) {
		return nil, nil
	}
	return l, err
}

// peerListen writes the address that peers were to reach.
func peerListen(bind netip.Addr, port uint16) string {
	if !bind.IsValid() {
		return fmt.Sprintf(":%d", port)
	}
	return netip.AddrPortFrom(bind, port).String()
}

// stop ends the session in good order: resume data is saved and the trackers
// are told. It returns when that is done.
func (c *client) stop() {
	c.once.Do(func() {
		c.cancel()
		<-c.ended
		c.trk.Close()
	})
}

// peerAddr is where peers reach the session.
func (c *client) peerAddr() string { return c.session.Addr().String() }

// statusEvery is how often the state of torrents is looked at for display.
const statusEvery = 250 * time.Millisecond
