package torrent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"spate"
	"spate/storage"
	"spate/tracker"
)

// Network is where a session's connections come from. The zero choice is
// package net; the simulator and tests pass their own. It must be safe for
// concurrent use.
type Network interface {
	// Listen opens a stream listener, as net.ListenConfig.Listen does.
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	// DialContext connects, as net.Dialer.DialContext does.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Announcer tells a tracker of a torrent and returns what it answered;
// *trackerclient.Client is one. It must be safe for concurrent use.
type Announcer interface {
	Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error)
}

// Options of a session. The zero value is a session with the documented
// defaults, on every address of the machine.
type Options struct {
	// Network dials and listens. Nil: package net.
	Network Network
	// Announcer speaks to trackers. Nil: no trackers.
	Announcer Announcer
	// Bind is the local address of everything that dials or listens. The zero
	// value binds to all of both families.
	Bind netip.Addr
	// PeerPort is the TCP port for peers; 0 lets the system choose, which is
	// what tests want. The session tries PeerPort to PeerPortLast in turn.
	PeerPort, PeerPortLast uint16
	// AdvertisedPort is the port that trackers and peers are told, where it is not the
	// one that the session listens on: behind a router that maps one to the other. Zero:
	// the same port. [Session.SetAdvertisedPort] changes it.
	AdvertisedPort uint16
	// NoListen turns off incoming connections.
	NoListen bool
	// PeerID is the id in handshakes. Zero: a fresh one.
	PeerID spate.PeerID
	// ResumeDir holds a record for each torrent, so that a restart does not
	// check everything again. Empty: nothing is remembered. Two sessions, or
	// processes, with the same ResumeDir must not have a torrent in common.
	ResumeDir string
	// NoPEX turns the exchange of addresses between peers (BEP 11) off. Private
	// torrents never have it.
	NoPEX bool
	// MaxConns bounds the connections of the session, MaxConnsPerTorrent those
	// of one torrent, MaxHalfOpen the dials under way. Zero: 500, 80, 40.
	MaxConns, MaxConnsPerTorrent, MaxHalfOpen int
	// MaxAnnounces bounds the announces under way at once. Zero: 50.
	MaxAnnounces int
	// UploadSlots is how many peers of one torrent are unchoked by their rate,
	// beside the optimistic one, at least: they become more while each still gets
	// a good share. Zero: 4.
	UploadSlots int
	// SeedMode says who is served while a torrent has everything.
	SeedMode SeedMode
	// OpenFiles bounds the descriptors for data. Zero: 256.
	OpenFiles int
	// PieceMemory bounds in bytes, for each torrent, the pieces that are being
	// put together. Zero: 32 MiB. At least four pieces are always allowed.
	PieceMemory int64
	// ReadMemory bounds in bytes what all connections together hold to read in large
	// steps; those beyond it read 64 KiB at a time. Zero: 32 MiB.
	ReadMemory int64
	// Up and Down limit the whole session in bytes a second. Zero: no limit.
	Up, Down int64
	// NoWebSeeds leaves the web seeds of all torrents unasked.
	NoWebSeeds bool
	// Seed makes choices (first pieces, optimistic unchokes) repeatable in
	// simulations. Zero: random.
	Seed uint64
	// portableIO makes sockets use the path of other networks, for tests of it.
	portableIO bool
	// Log receives what an operator would want to know. Nil: discarded.
	Log *slog.Logger
}

// SeedMode says whom a torrent serves that wants nothing any more.
type SeedMode uint8

const (
	// SeedRoundRobin serves each peer for a while, then those that wait longest.
	SeedRoundRobin SeedMode = iota
	// SeedAntiLeech serves those first that had the fewest bytes of us, so that
	// nobody gets more by being fast, and those last that hide what they had.
	SeedAntiLeech
)

// AddOptions of one torrent.
type AddOptions struct {
	// Dir is the folder that holds, or is to hold, the file or the tree that
	// the torrent names.
	Dir string
	// Within, if it is not empty, is a folder that Dir has to be in, however the
	// links on the way to Dir are changed. It may be the same. A move leaves it.
	Within string
	// Name is what the file or the tree is called in Dir, in place of the name
	// that the torrent gives it.
	Name string
	// ResumeDir takes the place of the session's when it is not empty. It must
	// exist.
	ResumeDir string
	// Storage takes the place of the files below Dir when it is not nil. The
	// torrent closes it.
	Storage storage.Storage
	// Verified says that the data is known to be whole and right, for it was
	// hashed just now: nothing is checked.
	Verified bool
	// SeedOnly refuses to write: what is missing stays missing.
	SeedOnly bool
	// Force allows what is only unwise, such as overwriting a longer file.
	Force bool
	// Peers are connected to besides those that are found, wherever they are: they are
	// the choice of the user.
	Peers []netip.AddrPort
	// Select reports for each file whether it is wanted. Nil: all are.
	Select func(path []string) bool
	// Sequential asks for the pieces in order.
	Sequential bool
	// Up and Down limit this torrent in bytes a second. Zero: no limit.
	Up, Down int64
	// NoWebSeeds leaves the torrent's web seeds unasked. Otherwise they are asked
	// while there are no peers, or only slow ones.
	NoWebSeeds bool
	// PlainSeed says at once what is there even while nobody else has all of it;
	// the default is to super-seed then (BEP 16).
	PlainSeed bool
	// Stopped adds the torrent without starting it.
	Stopped bool
}

func (o *Options) setDefaults() error {
	if o.Network == nil {
		o.Network = systemNetwork{bind: o.Bind}
	}
	if o.PeerID == (spate.PeerID{}) {
		o.PeerID = spate.NewPeerID()
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

// systemNetwork is package net, bound to one local address when there is one.
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

// Limits of the conversation with one peer. See reliability in docs.
const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 120 * time.Second
	keepAliveEvery   = 100 * time.Second // BEP 3: two minutes of silence end a connection
	snubbedAfter     = 30 * time.Second
	maxUploadQueue   = 2000
	stoppedTimeout   = 5 * time.Second
)
