// Package takeover reads the torrents of other BitTorrent programs from their directories:
// Transmission and qBittorrent. It opens all files for reading only. It finds out which data these
// programs have verified and has not changed since, so that it need not be hashed again.
package takeover

import (
	"time"

	"spate/metainfo"
)

// Programs are the names of the programs whose torrents [Read] can read.
var Programs = []string{"transmission", "qbittorrent"}

// State is the state of another program.
type State struct {
	Program  string
	Dir      string    // directory of its torrents
	Torrents []Torrent // in the order of its queue if it has one, else by the time at which they were added
	Settings []Setting // its settings that this program has too
	Notes    []string  // what cannot be taken over

	usual bool // Dir is where the program keeps its torrents if it is not told otherwise
}

// Setting is a line of a settings file of this program.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"` // as TOML
}

// Torrent is a torrent of another program.
type Torrent struct {
	File string // path of the file that describes the torrent
	Err  error  // why it cannot be taken over; the fields below may then be empty

	Name    string
	Magnet  string // the magnet link of a torrent whose metadata is not known
	Torrent []byte // the .torrent, with the trackers that the program uses
	Dir     string // absolute path of the directory of the data
	Paused  bool
	Label   string
	Rules   []Rule // priorities of files that are not normal; the last one that matches counts
	Order   bool   // pieces are fetched in order

	Up, Down int64         // limits in bytes a second; 0: none
	Ratio    float64       // seed until this ratio is reached; 0: no such goal
	SeedTime time.Duration // seed for this time; 0: no such goal
	SeedIdle time.Duration // seed until nothing was sent for this time; 0: no such goal
	NoSeed   bool

	Kept  Kept
	Notes []string // what cannot be taken over

	info     *metainfo.MetaInfo
	place    int  // in the queue
	mixed    bool // its files are in Dir itself, without a directory of their own
	modified int64
}

// Rule is the priority of the files that a pattern matches, see [spate/maker.Options].Include.
type Rule struct{ Pattern, Priority string }

// Kept is what another program knows of the data of a torrent.
type Kept struct {
	Name    string         `json:"name,omitempty"`    // of the data in its directory; empty: that of the torrent
	Paths   map[int]string `json:"paths,omitempty"`   // of renamed files below Name, by the index of the file
	Partial string         `json:"partial,omitempty"` // ending of the names of incomplete files
	Have    []byte         `json:"have,omitempty"`    // set of the verified pieces (BEP 3); empty: none
	// Until is the latest modification time of each file for which Have counts, in Unix seconds, by the
	// index of the file. The data of a file that was modified later must be checked.
	Until      []int64   `json:"until,omitempty"`
	Added      time.Time `json:"added,omitzero"`
	Completed  time.Time `json:"completed,omitzero"`
	Uploaded   int64     `json:"uploaded,omitempty"`   // bytes
	Downloaded int64     `json:"downloaded,omitempty"` // bytes
	Seeded     int64     `json:"seeded,omitempty"`     // seconds
}
