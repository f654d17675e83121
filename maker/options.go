package maker

import (
	"fmt"
	"os"
	"time"

	"spate"
	"spate/metainfo"
)

// Options are how a torrent is made. The zero value makes a hybrid torrent of
// everything that is not hidden, without trackers.
type Options struct {
	Format      metainfo.Format // empty: metainfo.Hybrid
	PieceLength int64           // bytes; 0: as [PieceLength] chooses
	Name        string          // of the torrent; empty: the last name of the path

	Announce [][]string // tiers of tracker URLs (BEP 12)
	WebSeeds []string   // BEP 19
	Nodes    []string   // BEP 5: host:port
	Private  bool       // BEP 27
	Comment  string
	Source   string // a mark in the info dictionary

	CreatedBy string    // empty: this program and its version
	Date      time.Time // of creation; zero: now
	NoDate    bool      // none at all

	Similar     []spate.InfoHash // BEP 38, in the info dictionary
	Collections []string         // BEP 38, in the info dictionary

	// Include and Exclude are patterns for the files of a directory. A pattern
	// without a slash is held against every name on the path to a file, one with
	// a slash against the path below the directory; * does not cross a slash, **
	// does, and what matches a directory matches everything in it. With an
	// Include, only what it matches is taken; Exclude counts more than Include.
	Include, Exclude []string
	// Files, if not empty, are the paths below the directory, of files or
	// directories, that are taken; others are not even looked at.
	Files  []string
	Hidden bool  // take hidden files too, and the junk of desktops such as Thumbs.db
	Links  Links // what becomes of symbolic links

	// Like makes the info dictionary as another program does where ours would
	// differ, so that the same files and options have the same info-hash.
	Like Like
	// NoTailPadding leaves out the pad file behind the last file of a hybrid
	// torrent. BEP 52 does not need it; libtorrent writes it, and so do we.
	NoTailPadding bool

	// Root, if it is not nil, is the open directory that the path is relative to.
	// The path may be a link inside it, and nothing outside it is opened, whatever
	// links are put there meanwhile. Without it the path may be a link to anywhere.
	Root *os.Root

	// Workers is how many goroutines read and hash; 0: GOMAXPROCS.
	Workers int
	// Progress is called every 100 ms and at the end, by one goroutine at a time.
	Progress func(Progress)
	// Skipped is called for what is left out: hidden files, devices, links that
	// lead out of the directory. It is called before hashing begins.
	Skipped func(Skipped)
}

// Like names a program whose info dictionaries are to be matched.
type Like string

const (
	// LikeDefault is our own way. Hybrid and v2 torrents are those of libtorrent,
	// v1 torrents those of mktorrent, as long as there are no symbolic links and
	// nothing hidden.
	LikeDefault Like = ""
	// LikeMktorrent takes hidden files and follows links.
	LikeMktorrent Like = "mktorrent"
	// LikeTransmission is transmission-create 3.00: it follows links, orders
	// files without regard to case, leaves out empty ones, and always says
	// whether the torrent is private.
	LikeTransmission Like = "transmission"
	// LikeLibtorrent is create_torrent with canonical_files: it takes hidden
	// files, follows links, and marks programs and pads files in v1 torrents too.
	// Whatever a link leads to counts as a program.
	LikeLibtorrent Like = "libtorrent"
)

// manner is what Like and the format stand for.
type manner struct {
	order      order
	links      Links
	linkExec   bool // what a link leads to is a program
	hidden     bool
	attributes bool // x for programs (BEP 47)
	pads       bool // align files by pad files
	empty      bool // take empty files
	private    bool // write "private" even if it is 0
}

func (o *Options) manner() (manner, error) {
	v1 := o.Format == metainfo.V1
	m := manner{order: orderTree, links: o.Links, hidden: o.Hidden, attributes: !v1, pads: !v1, empty: true}
	if v1 {
		m.order = orderPath
	}
	switch o.Like {
	case LikeDefault:
		return m, nil
	case LikeMktorrent:
		m.hidden = true
	case LikeTransmission:
		m.empty, m.private = false, true
		if v1 {
			m.order = orderFold
		}
	case LikeLibtorrent:
		m.order, m.attributes, m.pads, m.hidden, m.linkExec = orderTree, true, true, true, true
	default:
		return m, fmt.Errorf("cannot make torrents like %q: want mktorrent, transmission or libtorrent", o.Like)
	}
	if o.Links == LinksKeep {
		m.links = LinksFollow
	}
	return m, nil
}

// check fills in defaults and refuses what cannot be.
func (o *Options) check() error {
	switch o.Format {
	case "":
		o.Format = metainfo.Hybrid
	case metainfo.V1, metainfo.V2, metainfo.Hybrid:
	default:
		return fmt.Errorf("unknown format %q: want v1, v2 or hybrid", o.Format)
	}
	if o.PieceLength != 0 {
		if err := checkPieceLength(o.PieceLength, o.Format != metainfo.V1); err != nil {
			return err
		}
	}
	if o.CreatedBy == "" {
		o.CreatedBy = "spate/" + spate.Version
	}
	if o.Date.IsZero() {
		o.Date = time.Now()
	}
	return nil
}
