package cli

import (
	"net/netip"
	"path/filepath"

	"github.com/spf13/pflag"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/reach"
	"spate/lsd"
	"spate/torrent"
)

// The range of ports for peers if --peer-port is not given.
const (
	firstPeerPort = 6881
	lastPeerPort  = 6889
)

// sessionFlags are the flags of all verbs that connect to peers.
type sessionFlags struct {
	bind     addrValue
	peerPort int // -1: the first free port of the range
	up       upValue
	down     rateValue
	seedMode seedModeValue
	encrypt  encryptionValue
	peers    peersValue
	state    string
	noPEX    bool
	noLSD    bool
	over     transportValue // --transport
	noUTP    bool
	noWebRTC bool
	noRanges bool // --no-peer-http
	noDHT    bool
	unseen   bool // the DHT is searched, but nothing is announced there
	lsdGroup string
	noMap    bool      // --no-portmap
	gateway  addrValue // the router that maps ports
	dhtNodes []string
	ipFilter []string // --ip-filter
}

func (s *sessionFlags) add(f *pflag.FlagSet) {
	f.Var(&s.up, "up", "limit sending to `RATE`: 500k, 2M; 0: none (default: learned)")
	f.Var(&s.down, "down", "receive at most this many bytes a second")
	f.Var(&s.seedMode, "seed-mode", "serve peers in turn (round-robin) or by need (anti-leech)")
	f.Var(&s.encrypt, "encryption", "encrypt connections: off, allow, prefer or require")
	f.Var(&s.peers, "peer", "connect to this peer too, as IP:PORT; repeatable")
	f.IntVar(&s.peerPort, "peer-port", -1, "listen for peers on this `PORT`; 0: any (default 6881-6889)")
	f.Lookup("peer-port").DefValue = ""
	bindFlag(f, &s.bind)
	stateFlag(f, &s.state)
	f.BoolVar(&s.noPEX, "no-pex", false, "do not exchange addresses of peers with peers")
	f.BoolVar(&s.noLSD, "no-lsd", false, "do not look for peers on the local network")
	f.StringVar(&s.lsdGroup, "lsd-group", "", "look in this multicast group, as IP:PORT (default: BEP 14)")
	f.Lookup("lsd-group").DefValue = ""
	f.Var(&s.over, "transport", "connect to peers over tcp, utp or both")
	f.BoolVar(&s.noUTP, "no-utp", false, "use TCP only: the same as --transport tcp")
	f.BoolVar(&s.noWebRTC, "no-webrtc", false, "do not connect to browsers (WebRTC)")
	f.BoolVar(&s.noRanges, "no-peer-http", false, "do not send pieces to web pages over HTTP")
	f.BoolVar(&s.noMap, "no-portmap", false, "do not ask the router to open ports")
	f.Var(&s.gateway, "gateway", "ask the router at this `IP` (default: of the default route)")
	f.BoolVar(&s.noDHT, "no-dht", false, "do not find peers by the DHT")
	bootstrapFlag(f, &s.dhtNodes)
	f.StringArrayVar(&s.ipFilter, "ip-filter", nil, "refuse peers whose addresses this `FILE` lists; repeatable")
}

func stateFlag(f *pflag.FlagSet, v *string) {
	f.StringVar(v, "state", "", "keep all state in this `DIR` (default $XDG_STATE_HOME/spate)")
}

// config converts the flags. resume is the directory of the resume data.
func (s *sessionFlags) config(resume string) (daemon.SessionConfig, error) {
	c := daemon.SessionConfig{
		Options: torrent.Options{
			Bind: s.bind.Addr, ResumeDir: resume, Up: int64(s.up.rateValue), Down: int64(s.down), NoPEX: s.noPEX, SeedMode: torrent.SeedMode(s.seedMode),
			Encryption: torrent.Encryption(s.encrypt), NoRanges: s.noRanges,
		},
		AnyPort: s.peerPort < 0, Peers: s.peers.addrs, NoLSD: s.noLSD, NoUTP: s.noUTP || s.over == onlyTCP, NoWebRTC: s.noWebRTC,
		NoDHT: s.noDHT, NoDHTAnnounce: s.unseen, DHTBootstrap: s.dhtNodes, IPFilter: s.ipFilter, NoUplink: s.up.given,
	}
	c.Options.NoTCP = s.over == onlyUTP
	if !s.noMap {
		c.PortMap = &daemon.PortMapConfig{Gateway: s.gateway.Addr}
	}
	switch {
	case s.noUTP && s.over == onlyUTP:
		return c, fault.Usagef("--no-utp and --transport utp leave no way to connect to peers")
	case s.peerPort < -1 || s.peerPort > 65535:
		return c, fault.Usagef("--peer-port %d: a port is a number from 0 to 65535", s.peerPort)
	case s.peerPort < 0:
		c.Options.PeerPort, c.Options.PeerPortLast = firstPeerPort, lastPeerPort
	default:
		c.Options.PeerPort = uint16(s.peerPort)
	}
	if err := checkBootstrap(s.dhtNodes); err != nil {
		return c, err
	}
	if s.lsdGroup != "" {
		g, err := netip.ParseAddrPort(s.lsdGroup)
		if err != nil || !g.Addr().IsMulticast() || g.Port() == 0 {
			return c, fault.Usagef("--lsd-group %s is not a multicast address with a port, such as %v", s.lsdGroup, lsd.Group4)
		}
		c.LSDGroup = g
	}
	return c, nil
}

// daemonEnv returns the environment for package daemon.
func (a *app) daemonEnv() *daemon.Env {
	return &daemon.Env{Now: a.Now, Log: a.Log, Getenv: a.Getenv, Out: a.out, Notef: a.Notef, Warnf: a.Warnf}
}

// openSession starts the engine of get or seed. The caller has prepared the state directory. told
// is called with what is known about whether others can connect, and with each change.
func (a *app) openSession(s *sessionFlags, told func(reach.Status)) (*daemon.Session, error) {
	c, err := s.config(a.downloadState(s.state))
	if err != nil {
		return nil, err
	}
	if c.PortMap != nil {
		c.PortMap.State = a.stateDir(s.state)
	}
	c.OnReach = told
	return daemon.OpenSession(a.daemonEnv(), c)
}

// downloadState returns the directory of the resume data and locks of get and seed. dir is
// the value of --state.
func (a *app) downloadState(dir string) string { return filepath.Join(a.stateDir(dir), "get") }
