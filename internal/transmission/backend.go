package transmission

import (
	"context"

	"spate/internal/daemon"
	"spate/internal/schedule"
	"spate/torrent"
)

// Torrents are the torrents of a daemon: [daemon.Torrents].
type Torrents interface {
	List(daemon.TorrentList) (list []daemon.TorrentInfo, total int)
	Details(ref string) (daemon.TorrentDetails, error)
	// Engine returns the torrent of the engine, or nil if it does not run or is dormant.
	Engine(ref string) (*torrent.Torrent, error)
	Add(context.Context, daemon.AddRequest) (daemon.TorrentInfo, error)
	Change(ctx context.Context, ref string, c daemon.TorrentChange) error
	Remove(ctx context.Context, ref string, data bool) error
	Move(ctx context.Context, ref, dir string, remote bool) error
	Recheck(ctx context.Context, ref string) error
	Reannounce(ctx context.Context, ref string) error
}

// Session is the rest of a daemon. Its methods are called concurrently.
type Session interface {
	// Info describes the daemon.
	Info() SessionInfo
	// SetRates limits the rates of all torrents in bytes a second until the settings change; 0: no limit.
	SetRates(up, down int64)
}

// SessionInfo describes a daemon.
type SessionInfo struct {
	Version                 string
	State                   string   // directory
	DownloadDir             string   // where torrents are stored if nothing else is said
	Folders                 []string // directories below which torrents may be stored, DownloadDir among them
	PeerPort                uint16
	PortMapped              bool // the router is asked to open the port
	PortOpen                bool // others can connect
	DHT, LSD, PEX, UTP, TCP bool
	Encryption              string            // required, preferred or tolerated
	Up, Down                int64             // limits in bytes a second; 0: none
	MaxDownloads            int               // 0: no limit
	MaxSeeds                int               // 0: no limit
	Started                 int64             // Unix time
	BlockedRanges           int               // rules of IP filters
	Windows                 []schedule.Window // of the schedule, for the whole daemon
	Now                     schedule.State    // what the schedule says now
}
