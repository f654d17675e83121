// Package tui is the terminal screen on running torrents: a list of them, and of
// one the files, pieces, peers and trackers, with rates as they were over time
// and the program's log. It asks a [Source] and draws; what runs is elsewhere.
//
// Every text of a source may come from outside: it is made harmless here.
package tui

import (
	"context"
	"time"
)

// Source is what a screen looks at. Its methods are called one at a time.
type Source interface {
	// List returns what there is now, in the order of the screen.
	List(ctx context.Context) ([]Torrent, error)
	// Detail tells more of the torrent with that ID; nil when it is gone.
	Detail(ctx context.Context, id string) (*Detail, error)
}

// Pauser is a Source that can halt torrents and let them go on.
type Pauser interface {
	Pause(ctx context.Context, id string, paused bool) error
}

// Torrent is a row of the list. Rates are in bytes a second.
type Torrent struct {
	ID    string
	Name  string
	State string // a word: downloading, seeding, checking, failed, paused, ...
	Err   string // why it failed, or ""
	// Size and Done are bytes of the data, wanted and verified; Fraction tells of
	// what State names, 0 to 1.
	Size, Done int64
	Fraction   float64
	Down, Up   float64
	Downloaded int64
	Uploaded   int64
	Peers      int // connected, Seeds among them
	Seeds      int
	Known      int           // who could be connected to
	Left       time.Duration // until all is there; negative: unknown
	Paused     bool
}

// Detail is what the views tell of one torrent. What is nil has no view.
type Detail struct {
	Path     string
	Hash     string
	Pieces   []Piece
	Files    []File
	Peers    []Peer
	Trackers []Tracker
	Facts    [][2]string // more lines for the overview: a label and a value
}

// Piece is the state of a piece.
type Piece uint8

// The states of a piece.
const (
	Missing Piece = iota
	Open          // being fetched
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

// Peer is a connection.
type Peer struct {
	Addr, Client         string
	Incoming             bool
	Have                 float64 // share of the pieces
	Down, Up             float64
	Downloaded, Uploaded int64
	Unchoked, Choked     bool // we serve it; it does not serve us
}

// Tracker is what a tracker said last.
type Tracker struct {
	URL    string
	Says   string // "", or why it did not work
	Bad    bool
	Next   time.Time
	Counts string // "3 seeds, 4 leechers", or ""
}
