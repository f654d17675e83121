package maker

import (
	"fmt"
	"os"
	"time"

	"spate"
	"spate/internal/weburl"
	"spate/metainfo"
)

// Options configures how a torrent is made. The zero value makes a v1 torrent, with v2
// hashes beside the info dictionary, of all files that are not hidden, without trackers.
type Options struct {
	// Format is the format of the torrent. Empty selects metainfo.V1 with the v2 hashes
	// beside the info dictionary ([metainfo.V2Hashes]). A torrent that Like pads has none.
	Format      metainfo.Format
	PieceLength int64  // in bytes; 0 selects the value of [PieceLength]
	Name        string // name of the torrent; empty selects the last element of the path

	// The torrent contains U-labels in the hosts of Announce, WebSeeds and Nodes as A-labels
	// (RFC 5890), because many clients resolve only names in ASCII.
	Announce [][]string // tiers of tracker URLs (BEP 12)
	WebSeeds []string   // BEP 19
	// ForHTTP chooses the piece length as with WebSeeds, for data that is also sent over HTTP.
	ForHTTP bool
	Nodes   []string // BEP 5: host:port
	Private bool     // BEP 27
	Comment string
	Source  string // a tag in the info dictionary

	CreatedBy string    // empty selects this program and its version
	Date      time.Time // creation date; zero selects now
	NoDate    bool      // omit the creation date

	Similar     []spate.InfoHash // BEP 38, stored in the info dictionary
	Collections []string         // BEP 38, stored in the info dictionary

	// Include and Exclude are patterns that select the files of a directory. A pattern
	// without a slash is compared with each element of a path, a pattern with a slash
	// with the whole path below the directory; a leading ./ or / means that directory. *
	// does not match a slash, ** does. A pattern that matches a directory matches
	// everything in it. If Include is not empty, only matching files are included. Exclude
	// takes precedence over Include. The patterns have no effect on a single file.
	Include, Exclude []string
	// Files limits the torrent to these paths of files or directories below the
	// directory, if it is not empty. Other paths are not read.
	Files  []string
	Hidden bool  // include hidden files, and files such as Thumbs.db
	Links  Links // what to do with symbolic links

	// Like imitates the info dictionary of another program, so that the same files and
	// options give the same info-hash.
	Like Like
	// NoTailPadding omits the pad file after the last file of a hybrid torrent. BEP 52
	// does not require it, but libtorrent writes it.
	NoTailPadding bool

	// Root, if it is not nil, is the open directory that the path is relative to. The
	// path may be a link inside Root. Nothing outside Root is opened, even if links
	// change during the scan. Without Root the path may be a link to anywhere.
	Root *os.Root

	// Written lists files and directories that the caller writes to meanwhile or
	// afterwards, such as its standard output. None of them may be part of the data.
	Written []os.FileInfo
	// Selected is the result of [Select] with the same path and the same options that select
	// files. Make and Measure then do not list the files again, and call neither Skipped nor
	// Unmatched. Nil: they list the files.
	Selected *Selection

	// Workers is the number of goroutines that read and hash; 0 selects GOMAXPROCS.
	Workers int
	// Progress is called every 100 ms and at the end, never concurrently.
	Progress func(Progress)
	// Skipped is called for each entry that is skipped, such as hidden files, devices,
	// and links that lead out of the directory. It is called before hashing starts.
	Skipped func(Skipped)
	// Unmatched is called for each pattern of Include that selects no file and each pattern
	// of Exclude that matches nothing. It is called before hashing starts.
	Unmatched func(Unmatched)

	v2Hashes bool // compute v2 hashes for a v1 torrent; set by check
}

// Like is the name of a program whose info dictionaries are imitated.
type Like string

const (
	// LikeDefault is the style of this package. Unless there are symbolic links or
	// hidden files, hybrid and v2 torrents equal those of libtorrent, and v1 torrents
	// those of mktorrent.
	LikeDefault Like = ""
	// LikeMktorrent includes hidden files and follows symbolic links.
	LikeMktorrent Like = "mktorrent"
	// LikeTransmission imitates transmission-create 3.00. It follows symbolic links,
	// sorts files ignoring case, omits empty files, and always writes the private flag.
	LikeTransmission Like = "transmission"
	// LikeLibtorrent imitates create_torrent with canonical_files. It includes hidden
	// files, follows symbolic links, marks executables and pads files even in v1
	// torrents, and treats the target of each symbolic link as executable.
	LikeLibtorrent Like = "libtorrent"
)

// style holds the conventions that Like and the format select.
type style struct {
	order      order
	links      Links
	linkExec   bool // treat the target of a symbolic link as executable
	hidden     bool
	attributes bool // write the attribute x for executables (BEP 47)
	pads       bool // align files with pad files
	empty      bool // include empty files
	private    bool // write "private" even if it is 0
}

func (o *Options) style() (style, error) {
	v1 := o.Format == metainfo.V1
	m := style{order: orderTree, links: o.Links, hidden: o.Hidden, attributes: !v1, pads: !v1, empty: true}
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
		return m, fmt.Errorf("unknown program %q to imitate: want mktorrent, transmission or libtorrent", o.Like)
	}
	if o.Links == LinksKeep {
		m.links = LinksFollow
	}
	return m, nil
}

// setAddresses writes the trackers, web seeds and nodes into m.
func (o *Options) setAddresses(m *metainfo.MetaInfo) {
	m.AnnounceList = weburl.ASCIITiers(o.Announce)
	for _, s := range o.WebSeeds {
		m.WebSeeds = append(m.WebSeeds, weburl.ASCIIOrSame(s))
	}
	for _, s := range o.Nodes {
		if ascii, err := weburl.ASCIIHostPort(s); err == nil {
			s = ascii
		}
		m.Nodes = append(m.Nodes, s)
	}
}

// check sets defaults and returns an error for invalid options.
func (o *Options) check() error {
	switch o.Format {
	case "":
		o.Format, o.v2Hashes = metainfo.V1, true
	case metainfo.V1, metainfo.V2, metainfo.Hybrid:
	default:
		return fmt.Errorf("unknown format %q: want v1, v2 or hybrid", o.Format)
	}
	if o.PieceLength != 0 {
		if err := checkPieceLength(o.PieceLength, o.Format != metainfo.V1 || o.v2Hashes); err != nil {
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
