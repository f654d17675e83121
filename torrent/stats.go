package torrent

import (
	"time"

	"spate"
)

// State is what a torrent is doing.
type State uint8

// The states of a torrent.
const (
	StateChecking    State = iota // reading resume data or the files
	StateDownloading              // pieces are missing
	StateSeeding                  // every wanted piece is there
	StateStopped                  // added and not running
	StateFailed                   // halted by Err; goes on when the cause is gone
)

// String returns the state as a word for people and JSON.
func (s State) String() string {
	switch s {
	case StateChecking:
		return "checking"
	case StateDownloading:
		return "downloading"
	case StateSeeding:
		return "seeding"
	case StateStopped:
		return "stopped"
	case StateFailed:
		return "failed"
	}
	return "unknown"
}

// Stats is a snapshot of one torrent. Byte counts are of payload, rates are in
// bytes a second.
type Stats struct {
	Name     string
	InfoHash spate.InfoHash
	State    State
	Err      error // why State is StateFailed, or nil

	BytesTotal, BytesDone  int64 // of the wanted data, pads not counted; Done is verified
	Pieces, PiecesHave     int
	Checked                int   // pieces looked at so far while StateChecking
	Downloaded, Uploaded   int64 // payload since the torrent was first added
	Wasted                 int64 // received and not used: duplicates, failed pieces
	DownRate, UpRate       float64
	Peers, Seeds, Leechers int // connected
	Known                  int // candidates that could be connected to
	Trackers               []TrackerStats
	Added, Completed       time.Time
}

// TrackerStats is the last word from one tracker.
type TrackerStats struct {
	URL                  string
	LastAnnounce         time.Time
	NextAnnounce         time.Time
	Err                  error // of the last announce
	Complete, Incomplete int
	Warning              string
}

// PeerStats is a snapshot of one connection.
type PeerStats struct {
	Addr               string
	Client             string
	Incoming           bool
	Have               float64 // share of the pieces, 0 to 1
	Downloaded         int64
	Uploaded           int64
	DownRate, UpRate   float64
	Interested, Choked bool // the peer is interested in us; the peer chokes us
	Unchoked, Seed     bool // we unchoked the peer; it has everything
	Outstanding        int  // our requests that it has not answered
}
