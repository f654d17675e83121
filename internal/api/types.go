// Package api is the HTTP API of the daemon: JSON over a unix socket in the state directory, or
// over the network with a token. It contains the server, a client and their types.
// docs/openapi.yaml describes the API.
package api

import (
	"fmt"
	"time"

	"spate/internal/daemon"
	"spate/internal/doctor"
	"spate/internal/ipfilter"
	"spate/internal/reach"
	"spate/internal/schedule"
	"spate/internal/uplink"
	"spate/publish"
)

// SocketName is the name of the socket in the state directory.
const SocketName = "api.sock"

// Status is the state of a daemon: GET /v1/status.
type Status struct {
	Version      string    `json:"version"`
	PID          int       `json:"pid"`
	Verb         string    `json:"verb"` // serve, or publish in the foreground
	Started      time.Time `json:"started"`
	State        string    `json:"state"` // path of the state directory
	PublicURL    string    `json:"public_url"`
	HTTPAddr     string    `json:"http_addr"`
	UDPAddr      string    `json:"udp_addr,omitempty"`
	PeerAddr     string    `json:"peer_addr"`
	AnnounceURLs []string  `json:"announce_urls"`
	// WebSeed says why new torrents name this site as a web seed without being asked to: peers
	// cannot connect. It is absent if peers can, or if that is unknown.
	WebSeed string   `json:"web_seed,omitempty"`
	Folders []Folder `json:"folders"`
	Totals  Totals   `json:"totals"`
	// Torrents are sums over the added torrents. They are absent for publish in the foreground.
	Torrents *daemon.TorrentTotals `json:"torrents,omitempty"`
	// Reach says whether others on the internet can connect.
	Reach reach.Status `json:"reachable"`
	// Uplink is the limit of all senders, and where it comes from.
	Uplink uplink.Status `json:"uplink"`
	// Schedule is what the schedule says now. It is absent without windows.
	Schedule *schedule.State `json:"schedule,omitempty"`
	// Volume says how much of the monthly volume is used. It is absent without --monthly-volume.
	Volume *daemon.VolumeStatus `json:"volume,omitempty"`
	// DHTNodes is the number of nodes of the DHT that answer. It is absent without the DHT.
	DHTNodes *int `json:"dht_nodes,omitempty"`
	// IPFilter is the state of the filter of addresses. It is absent without --ip-filter.
	IPFilter *ipfilter.Status `json:"ip_filter,omitempty"`
	// Checks is the result of the last hourly check. It is absent before the first one.
	Checks *doctor.Report `json:"checks,omitempty"`
}

// Folder is a watched folder.
type Folder struct {
	Path    string `json:"path"`
	Group   string `json:"group,omitempty"`
	Entries int    `json:"entries"` // releases of the folder
	Waiting int    `json:"waiting"` // entries that are still written or wait for hashing
	// Hashing is the entry that is hashed now. It is absent if none is.
	Hashing *Hashing `json:"hashing,omitempty"`
	Error   string   `json:"error,omitempty"` // why the folder cannot be read
	// Refused lists the entries that cannot be published and the notes that cannot be read,
	// ordered by name.
	Refused []Refused `json:"refused,omitempty"`
}

// Hashing is the progress of an entry of a folder that is hashed.
type Hashing struct {
	Name  string  `json:"name"`
	Done  int64   `json:"done"` // number of hashed bytes
	Total int64   `json:"total"`
	Rate  float64 `json:"rate"` // bytes a second
}

// Refused is an entry of a folder that is not published.
type Refused struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

// Totals are sums over all releases.
type Totals struct {
	Releases int     `json:"releases"` // number of releases
	Paused   int     `json:"paused"`
	Failed   int     `json:"failed"`
	Peers    int     `json:"peers"`    // connected peers
	Seeders  int     `json:"seeders"`  // seeders in the swarms, including this machine
	Leechers int     `json:"leechers"` // leechers in the swarms
	UpRate   float64 `json:"up_rate"`  // bytes a second
	DownRate float64 `json:"down_rate"`
	publish.Counts
	publish.Delivery
}

// Releases is a page of the list of releases: GET /v1/releases.
type Releases struct {
	Total    int                   `json:"total"`
	Releases []publish.ReleaseInfo `json:"releases"`
}

// Peer is a connected peer: GET /v1/releases/{ref}/peers.
type Peer struct {
	Addr        string  `json:"addr"`
	Client      string  `json:"client"`
	Transport   string  `json:"transport"` // tcp, utp, webrtc or http
	Incoming    bool    `json:"incoming"`
	Holepunched bool    `json:"holepunched"` // whether a relay helped to punch a hole for the connection (BEP 55)
	Have        float64 `json:"have"`        // share of the pieces, 0 to 1
	Uploaded    int64   `json:"uploaded"`
	Downloaded  int64   `json:"downloaded"`
	UpRate      float64 `json:"up_rate"`
	DownRate    float64 `json:"down_rate"`
	Interested  bool    `json:"interested"`
	Unchoked    bool    `json:"unchoked"`
	Twin        bool    `json:"twin"` // whether the peer is in the swarm of the separate v1 torrent, and not in that of the hybrid
}

// Snapshot is a line of GET /v1/watch.
type Snapshot struct {
	Time     time.Time `json:"time"`
	Totals   Totals    `json:"totals"`
	Releases []Row     `json:"releases"` // newest first
}

// Row is a release in a [Snapshot].
type Row struct {
	Ref         string `json:"ref"`
	TotalLength int64  `json:"total_length"`
	publish.Live
	publish.Counts
}

// Publish asks for a release of each path: POST /v1/releases. The answer is a
// line for each [Event].
type Publish struct {
	Paths       []string   `json:"paths"`            // absolute paths
	Upload      string     `json:"upload,omitempty"` // id of a complete upload, in place of paths
	Slug        string     `json:"release,omitempty"`
	Version     string     `json:"version,omitempty"`
	Variants    []string   `json:"variants,omitempty"` // one for each path, or none
	Newer       bool       `json:"newer,omitempty"`    // publish another version if the slug is taken
	Group       string     `json:"group,omitempty"`
	Notes       string     `json:"notes,omitempty"`
	NoTwin      bool       `json:"no_v1_twin,omitempty"`
	Name        string     `json:"name,omitempty"`
	Format      string     `json:"format,omitempty"`
	PieceLength int64      `json:"piece_length,omitempty"`
	Announce    [][]string `json:"announce,omitempty"` // trackers besides those of the daemon
	WebSeeds    []string   `json:"web_seeds,omitempty"`
	Private     bool       `json:"private,omitempty"`
	Comment     string     `json:"comment,omitempty"`
	Source      string     `json:"source,omitempty"`
	CreatedBy   string     `json:"created_by,omitempty"`
	NoDate      bool       `json:"no_date,omitempty"`
	Include     []string   `json:"include,omitempty"`
	Exclude     []string   `json:"exclude,omitempty"`
	Hidden      bool       `json:"hidden,omitempty"`
	Force       bool       `json:"force,omitempty"` // publish data that a program is still writing
}

// Event is a step of a [Publish].
type Event struct {
	Event   string               `json:"event"` // progress, skipped, unmatched, waiting, published, error
	Path    string               `json:"path,omitempty"`
	Done    int64                `json:"done,omitempty"` // number of hashed bytes
	Total   int64                `json:"total,omitempty"`
	Rate    float64              `json:"rate,omitempty"`
	Reason  string               `json:"reason,omitempty"`  // why the path was skipped
	Pattern string               `json:"pattern,omitempty"` // pattern that matches nothing
	Include bool                 `json:"include,omitempty"` // whether that pattern is one of include
	Release *publish.ReleaseInfo `json:"release,omitempty"`
	// Warnings are the limits of other programs that the torrent of Release exceeds.
	Warnings []string `json:"warnings,omitempty"`
	Error    *Error   `json:"error,omitempty"`
}

// Change is a change of a release: PATCH /v1/releases/{ref}. A nil field stays as it is.
type Change struct {
	Paused *bool   `json:"paused,omitempty"`
	Group  *string `json:"group,omitempty"`
	Notes  *string `json:"notes,omitempty"`
}

// Backup asks for a copy of the catalog: POST /v1/backup.
type Backup struct {
	Path string `json:"path"` // absolute path; the file must not exist
}

// Error is the answer to a request that failed.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`

	invalid bool // the request had a token that is not valid
	page    bool // a page of the graphical client made the request
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Is implements [errors.Is]: an error matches a target with the same code and no message.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// NoDaemonError says that no daemon answers on the socket.
type NoDaemonError struct {
	Socket string
	Err    error
}

// Error implements error.
func (e *NoDaemonError) Error() string { return fmt.Sprintf("no daemon answers on %s", e.Socket) }

// Unwrap returns the cause.
func (e *NoDaemonError) Unwrap() error { return e.Err }

// SilenceError says that a daemon accepted a request but did not answer in time.
type SilenceError struct {
	Where string        // the path of the socket, or the URL
	After time.Duration // the time limit
}

// Error implements error.
func (e *SilenceError) Error() string {
	return fmt.Sprintf("the daemon on %s has not answered for %v", e.Where, e.After)
}
