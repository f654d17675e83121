package cli

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/internal/torrentfile"
	"spate/maker"
	"spate/metainfo"
)

// makeFlags are the flags of everything that makes a torrent.
type makeFlags struct {
	announce    []string
	format      string
	pieceLength lengthValue
	webSeeds    []string
	private     bool
	comment     string
	source      string
	name        string
	createdBy   string
	noDate      bool
	include     []string
	exclude     []string
	hidden      bool
}

func (m *makeFlags) add(f *pflag.FlagSet) {
	f.StringArrayVarP(&m.announce, "announce", "a", nil, "tracker `URL`; a comma separates trackers of one tier, a repeat is a new tier")
	f.StringVar(&m.format, "format", string(metainfo.Hybrid), "v1, v2 or hybrid")
	f.Var(&m.pieceLength, "piece-length", "256KiB, 1MiB, ... (default: chosen from the size)")
	f.StringArrayVar(&m.webSeeds, "web-seed", nil, "the data is on a web server at this `URL`; repeatable")
	f.BoolVar(&m.private, "private", false, "peers come from the trackers only")
	f.StringVar(&m.comment, "comment", "", "say this in the torrent")
	f.StringVar(&m.source, "source", "", "a mark in the torrent that makes its info-hash another")
	f.StringVar(&m.name, "name", "", "`NAME` of the data in the torrent (default: that of the path)")
	f.StringVar(&m.createdBy, "created-by", "", "say that this program made the torrent (default: spate and its version)")
	f.BoolVar(&m.noDate, "no-date", false, "leave the date of creation out")
	f.StringArrayVar(&m.include, "include", nil, "of a directory, only files that match this `GLOB`; repeatable")
	f.StringArrayVar(&m.exclude, "exclude", nil, "leave out files that match this `GLOB`; repeatable")
	f.BoolVar(&m.hidden, "hidden", false, "take hidden files too")
}

// options checks the flags and returns what they mean to the maker.
func (m *makeFlags) options() (maker.Options, error) {
	o := maker.Options{
		Format: metainfo.Format(strings.ToLower(m.format)), PieceLength: int64(m.pieceLength.sizeValue), Name: m.name,
		WebSeeds: m.webSeeds, Private: m.private, Comment: m.comment, Source: m.source,
		CreatedBy: m.createdBy, NoDate: m.noDate, Include: m.include, Exclude: m.exclude, Hidden: m.hidden,
	}
	if !slices.Contains([]metainfo.Format{metainfo.V1, metainfo.V2, metainfo.Hybrid}, o.Format) {
		return o, fault.Usagef("--format %s: want v1, v2 or hybrid", m.format)
	}
	if n := o.PieceLength; n != 0 && o.Format != metainfo.V1 && (n < 16<<10 || n&(n-1) != 0) {
		return o, fault.UsageHint("write 256KiB, 1MiB, 4MiB ...; --format v1 takes any length", "--piece-length %d: v2 and hybrid torrents need a power of two from 16KiB", n)
	}
	for _, s := range m.webSeeds {
		if err := torrentfile.CheckURL("--web-seed", s, "http", "https", "ftp"); err != nil {
			return o, err
		}
	}
	var err error
	o.Announce, err = torrentfile.ParseTiers("--announce", m.announce)
	return o, err
}
