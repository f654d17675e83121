// Package tui shows running torrents in a terminal: a list of torrents, and for the
// selected one its files, pieces, peers, trackers and the history of its rates, and the
// log of the program. It gets all data from a [Source].
//
// Every text of a source may come from outside, so the package escapes it.
package tui

import (
	"context"
	"time"
)

// Source provides the data for a screen. Its methods are called one at a time.
type Source interface {
	// List returns all torrents in the order in which they are shown.
	List(ctx context.Context) ([]Torrent, error)
	// Detail returns details of the torrent with the given ID, or nil if it is gone.
	Detail(ctx context.Context, id string) (*Detail, error)
}

// Pauser is a Source that can pause and resume torrents.
type Pauser interface {
	Pause(ctx context.Context, id string, paused bool) error
}

// Torrent is a row of the list. Rates are in bytes per second.
type Torrent struct {
	ID    string
	Name  string
	State string // one word: downloading, seeding, checking, failed, paused, ...
	Err   string // the error if the torrent failed, otherwise empty
	// TrackerErr is why the last announce to a tracker failed; empty if none failed.
	TrackerErr string
	// Size and Done are the wanted and the verified bytes of data. Fraction is the
	// progress of what State names, from 0 to 1.
	Size, Done int64
	Fraction   float64
	Down, Up   float64
	Downloaded int64
	Uploaded   int64
	Peers      int // connected peers, including seeds
	Seeds      int
	Known      int           // known peers that are not connected
	Left       time.Duration // time until the download is complete; negative if unknown
	Paused     bool
}

// Detail holds the content of the views of one torrent. A field that is nil has no
// view.
type Detail struct {
	Path     string
	Hash     string
	Pieces   []Piece
	Files    []File
	Peers    []Peer
	Trackers []Tracker
	Stall    []string    // why the torrent receives no data; empty if it does
	Facts    [][2]string // additional lines of the overview: label and value
}

// Piece is the state of a piece.
type Piece uint8

// The states of a piece.
const (
	Missing Piece = iota
	Open          // being downloaded
	Have
	Skipped // not wanted
)

// File is a file of a torrent.
type File struct {
	Path    string
	Length  int64
	Done    int64
	Skipped bool
}

// Peer is a connected peer.
type Peer struct {
	Addr, Client         string
	UTP, Incoming        bool    // the connection uses uTP; the peer dialled
	Holepunched          bool    // a relay helped to punch a hole for the connection (BEP 55)
	Have                 float64 // fraction of the pieces that the peer has
	Down, Up             float64
	Downloaded, Uploaded int64
	Unchoked, Choked     bool // we upload to the peer; the peer does not upload to us
}

// Tracker is the state of a tracker.
type Tracker struct {
	URL    string
	Says   string // the error of the last announce, or ""
	Bad    bool
	Next   time.Time
	Counts string // "3 seeds, 4 leechers", or ""
}
