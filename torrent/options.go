package torrent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"time"

	"spate"
	"spate/discovery"
	"spate/storage"
	"spate/tracker"
)

// Network makes and accepts the connections of a session. The default is package net. It
// must be safe for concurrent use.
type Network interface {
	// Listen opens a stream listener, as net.ListenConfig.Listen does.
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	// DialContext connects, as net.Dialer.DialContext does.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Announcer announces a torrent to the tracker at a URL and returns the answer.
// *trackerclient.Client is one. It must be safe for concurrent use.
type Announcer interface {
	Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error)
}

// LateAnnouncer is an [Announcer] whose trackers name peers after their answers too, such
// as WebSocket trackers, which pass on each peer when it comes. An Announcer that wraps a
// LateAnnouncer has to be one too.
type LateAnnouncer interface {
	Announcer
	// AnnounceLate announces like Announce; the session calls it in place of Announce. It
	// calls found for each peer of the swarm that the tracker names later, until the
	// tracker has answered an announce of the swarm with the event "stopped". found can
	// be called at any time: the session ignores peers of a torrent that it does not
	// announce. It is safe for concurrent use and does not wait for the network.
	AnnounceLate(ctx context.Context, url string, req *tracker.AnnounceRequest, found func(discovery.Candidate)) (*tracker.AnnounceResponse, error)
}

// SignalAnnouncer is an [Announcer] that also announces to WebSocket trackers, which pass on
// offers of WebRTC connections and answers to them. *trackerclient.Client is one. An Announcer
// that wraps a SignalAnnouncer has to be one too.
type SignalAnnouncer interface {
	Announcer
	// AnnounceSignals announces like Announce; the session calls it for URLs with the scheme
	// ws or wss. It may use signals until it has announced the event "stopped" of the swarm.
	AnnounceSignals(ctx context.Context, url string, req *tracker.AnnounceRequest, signals tracker.Signals) (*tracker.AnnounceResponse, error)
}

// Options configure a session. The zero value selects the defaults that are documented at
// each field, on all addresses of the machine.
type Options struct {
	// Network dials and listens. Nil selects package net.
	Network Network
	// UTP makes and accepts connections over uTP (BEP 29) in addition to the TCP connections of
	// Network. Nil means none. It should listen on the UDP port of the number PeerPort, because
	// peers are told one port for both. The session closes it.
	UTP UTPSocket
	// WebRTC makes and accepts connections to browsers, if Announcer is a [SignalAnnouncer] that
	// passes on their descriptions. Nil means none: the session then ignores WebSocket trackers.
	// The session closes it.
	WebRTC WebRTC
	// NoTCP turns off TCP for connections to peers. It needs UTP, whose port is that of the
	// session.
	NoTCP bool
	// Announcer announces to trackers. If it is nil, no tracker is used.
	Announcer Announcer
	// OwnTracker reports whether the tracker at a URL belongs to this process, so that it always
	// answers. Its answers do not keep a torrent from being announced to the first other
	// tracker that answers, because other peers may reach that one only. A private torrent is
	// announced to one tracker at a time (BEP 27). It must be safe for concurrent use and quick.
	// Nil: no tracker belongs to this process.
	OwnTracker func(url string) bool
	// SignalTrackers are the URLs of WebSocket trackers to which every torrent that is not private
	// is announced, in addition to its own trackers. They need WebRTC.
	SignalTrackers []string
	// Signals reports whether the torrent with an info-hash is announced to SignalTrackers. It must
	// be safe for concurrent use and quick. Nil: all are.
	Signals func(spate.InfoHash) bool
	// Resolver resolves the host names of web seeds, and of peers in magnet links. Nil selects
	// [net.DefaultResolver], which a session on loopback asks only for localhost.
	Resolver *net.Resolver
	// Proxy returns the proxy for requests to the URL of a web seed, or nil for a direct connection.
	// The scheme of a proxy is socks5 or http, and its URL has a port. A proxy gets host names
	// unresolved. nil: all requests are direct. Network makes the connections to peers.
	Proxy func(to *url.URL) (via *url.URL, err error)
	// Bind is the local address of all connections and listeners. The zero value selects
	// all addresses of both families.
	Bind netip.Addr
	// PeerPort is the TCP port for peers. 0 lets the system choose. The session tries the
	// ports from PeerPort to PeerPortLast in turn.
	PeerPort, PeerPortLast uint16
	// AdvertisedPort is the port that trackers and peers are told, for example if a router
	// maps it to the port that the session listens on. 0 selects the port that the session
	// listens on.
	// [Session.SetAdvertisedPort] changes it.
	AdvertisedPort uint16
	// NoListen turns off incoming connections.
	NoListen bool
	// PeerID is the peer id of the session. The zero value selects a random one.
	PeerID spate.PeerID
	// ResumeDir is a folder with a record of each torrent, so that a restart does not check
	// all data again. If it is empty, nothing is recorded. Two sessions with the same
	// ResumeDir must not have a torrent in common.
	ResumeDir string
	// NoPEX turns off peer exchange (BEP 11). Private torrents never use it.
	NoPEX bool
	// MaxConns bounds the connections of the session, MaxConnsPerTorrent those of one
	// torrent, and MaxHalfOpen the dials at one time. 0 selects 500, 80 and 40.
	MaxConns, MaxConnsPerTorrent, MaxHalfOpen int
	// MaxAnnounces bounds the announces at one time. 0 selects 50.
	MaxAnnounces int
	// UploadSlots is the minimum number of peers of one torrent that are unchoked by their
	// rate, besides the optimistic unchoke. More peers are unchoked while the upload is
	// fast. 0 selects 4.
	UploadSlots int
	// SeedMode selects the peers that a seed unchokes.
	SeedMode SeedMode
	// OpenFiles bounds the open files. 0 selects 256.
	OpenFiles int
	// PieceMemory bounds the bytes of incomplete pieces of each torrent. At least one piece
	// is always allowed, and four if they have at most 128 MiB. 0 selects 32 MiB.
	PieceMemory int64
	// ReadMemory bounds the bytes of the large read buffers of all connections. Beyond it
	// connections read 64 KiB at a time. 0 selects 32 MiB.
	ReadMemory int64
	// Up and Down limit the rates of the session in bytes a second. 0 means no limit.
	Up, Down int64
	// Uplink returns a limit for a new connection, in addition to Up; nil means none. With
	// it several senders of a process share a line.
	Uplink func(net.Conn) SendLimit
	// Encryption says which connections to peers are encrypted.
	Encryption Encryption
	// NoRanges turns off the ranges that the TCP port of the peers serves to pages over HTTP (see
	// [RangePath]). EncryptionRequire turns them off too.
	NoRanges bool
	// OfferRanges reports whether trackers may tell pages of these ranges, because others can
	// probably connect to the port. It is called for each announce of a seed. Nil means true.
	OfferRanges func() bool
	// Blocked reports whether an address may not be that of a peer. The session does not connect to
	// such an address and accepts no connection from it, over TCP, uTP and WebRTC. Trackers and web
	// seeds are not concerned. It must be safe for concurrent use and quick. Nil: none is blocked.
	// Call [Session.DropBlocked] after its answers have changed.
	Blocked func(netip.Addr) bool
	// NoWebSeeds turns off the web seeds of all torrents.
	NoWebSeeds bool
	// DialBackUDP sends a packet to a peer that asked for it, to test whether others can reach
	// the peer by UDP. The packet must leave from a port that the peer has never seen, because
	// routers let in packets from known ports. If it is nil, the session tests TCP only.
	DialBackUDP func(to netip.AddrPort, packet []byte) error
	// Seed makes random choices repeatable in simulations. 0 selects a random seed.
	Seed uint64
	// portableIO makes TCP sockets use the code for other connections, for tests.
	portableIO bool
	// ignoreTwins makes hybrid torrents stay out of the swarms of their v1 twins, as in other
	// clients, for tests.
	ignoreTwins bool
	// Log receives messages for operators. They are discarded if it is nil.
	Log *slog.Logger
}

// SendLimit limits what a connection sends. The limit may change at any time, and is usually
// shared with other connections. Its methods are safe for concurrent use.
//
// A SendLimit may also have a method WaitFirst that is like Wait. Connections call it for blocks
// of a torrent that seeds and whose peers do not have all of it yet. They should go before the
// blocks of other torrents. It may have a method WaitLast that is like Wait. Connections call it for
// blocks to peers that have not shown that they use what they are sent. These should go after others.
type SendLimit interface {
	// Rate returns the limit in bytes per second; 0 is unlimited.
	Rate() int64
	// Batch returns how many bytes the connection should send at a time.
	Batch() int
	// Wait returns when n bytes may be sent, or with the error of ctx.
	Wait(ctx context.Context, n int) error
	// Close is called before the connection is closed.
	Close()
}

// SeedMode selects the peers that a complete torrent unchokes.
type SeedMode uint8

const (
	// SeedRoundRobin unchokes each peer for some time, then the peers that wait longest.
	SeedRoundRobin SeedMode = iota
	// SeedAntiLeech first unchokes the peers that have received the fewest bytes from this
	// side, so that fast peers do not get more than slow ones. Peers that hide their pieces
	// are unchoked last.
	SeedAntiLeech
)

// AddOptions configure one torrent.
type AddOptions struct {
	// Dir is the folder of the torrent's file, or of its top folder.
	Dir string
	// Within is a folder that must contain Dir or be the same folder, even if links in the
	// path of Dir are changed later. If it is empty, Dir may be anywhere. [Torrent.Move] may
	// move the data out of Within.
	Within string
	// Name replaces the name of the torrent's file or top folder if it is not empty.
	Name string
	// Paths are the paths of renamed files below the top folder, by the index of the file.
	Paths map[int]string
	// ResumeDir replaces Options.ResumeDir if it is not empty. It must exist.
	ResumeDir string
	// Storage replaces the files in Dir if it is not nil. The torrent closes it.
	Storage storage.Storage
	// Verified means that the data is complete and was hashed just now, so that it is not
	// checked.
	Verified bool
	// SeedOnly means that the torrent writes nothing: it downloads no missing data.
	SeedOnly bool
	// Force allows operations that may lose data, such as overwriting a longer file.
	Force bool
	// Peers are dialled whatever their address is, because the user named them.
	Peers []netip.AddrPort
	// Select reports whether a file is wanted. If it is nil, all files are.
	Select func(path []string) bool
	// Sequential downloads the pieces in order.
	Sequential bool
	// Up and Down limit the rates of the torrent in bytes a second. 0 means no limit.
	Up, Down int64
	// NoWebSeeds turns off the web seeds of the torrent. They are used while there are no
	// peers or only slow ones.
	NoWebSeeds bool
	// PlainSeed turns off super-seeding (BEP 16). Without it the torrent super-seeds if it
	// is the only seed of its swarm.
	PlainSeed bool
	// Stopped adds the torrent without starting it.
	Stopped bool
}

func (o *Options) setDefaults() error {
	if o.Network == nil {
		o.Network = systemNetwork{bind: o.Bind}
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.PeerID == (spate.PeerID{}) {
		o.PeerID = spate.NewPeerID()
	}
	if o.NoTCP && o.UTP == nil {
		return errors.New("torrent: option NoTCP without UTP leaves no transport")
	}
	if o.PeerPortLast < o.PeerPort {
		o.PeerPortLast = o.PeerPort
	}
	for _, d := range []struct {
		name   string
		v      *int
		preset int
	}{
		{"MaxConns", &o.MaxConns, 500},
		{"MaxConnsPerTorrent", &o.MaxConnsPerTorrent, 80},
		{"MaxHalfOpen", &o.MaxHalfOpen, 40},
		{"MaxAnnounces", &o.MaxAnnounces, 50},
		{"UploadSlots", &o.UploadSlots, 4},
		{"OpenFiles", &o.OpenFiles, 256},
	} {
		if *d.v < 0 {
			return fmt.Errorf("torrent: option %s is negative: %d", d.name, *d.v)
		}
		if *d.v == 0 {
			*d.v = d.preset
		}
	}
	if o.SeedMode > SeedAntiLeech {
		return fmt.Errorf("torrent: option SeedMode is %d", o.SeedMode)
	}
	if o.Encryption > EncryptionOff {
		return fmt.Errorf("torrent: option Encryption is %d", o.Encryption)
	}
	if o.Up < 0 || o.Down < 0 || o.PieceMemory < 0 || o.ReadMemory < 0 {
		return errors.New("torrent: a negative rate or memory limit")
	}
	if o.PieceMemory == 0 {
		o.PieceMemory = 32 << 20
	}
	if o.ReadMemory == 0 {
		o.ReadMemory = 32 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// systemNetwork is package net, bound to a local address if that is valid.
type systemNetwork struct{ bind netip.Addr }

func (n systemNetwork) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, network, address)
}

func (n systemNetwork) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	if n.bind.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: n.bind.AsSlice(), Zone: n.bind.Zone()}
	}
	return d.DialContext(ctx, network, address)
}

// Limits of a connection to a peer.
const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 120 * time.Second
	keepAliveEvery   = 100 * time.Second // BEP 3: two minutes of silence end a connection
	snubbedAfter     = 30 * time.Second
	maxUploadQueue   = 2000
)
