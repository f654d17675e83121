package cli

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/internal/torrentfile"
	"spate/maker"
	"spate/metainfo"
)

// makeFlags are the flags of all verbs that make torrents.
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
	site        bool // the verb has a site, so that --web-seed may be self
}

// addForSite is like add, for a verb that has a site.
func (m *makeFlags) addForSite(f *pflag.FlagSet) {
	m.add(f)
	m.site = true
	f.Lookup("web-seed").Usage = "name a `URL` with the data; self: this site; repeatable"
}

func (m *makeFlags) add(f *pflag.FlagSet) {
	f.StringArrayVarP(&m.announce, "announce", "a", nil, "name the tracker `URL`[,URL...]; repeat for further tiers")
	f.StringVar(&m.format, "format", "", "make this `FORMAT`: v1, v2 or hybrid (default: v1 with v2 hashes)")
	f.Var(&m.pieceLength, "piece-length", "cut the data into pieces of `SIZE` (default: chosen by size)")
	f.StringArrayVar(&m.webSeeds, "web-seed", nil, "name a web server with the data at `URL`; repeatable")
	f.BoolVar(&m.private, "private", false, "let clients find peers by trackers only")
	f.StringVar(&m.comment, "comment", "", "write this comment into the torrent")
	f.StringVar(&m.source, "source", "", "write this source, which changes the info-hash")
	f.StringVar(&m.name, "name", "", "call the data `NAME` (default: the name of the path)")
	f.StringVar(&m.createdBy, "created-by", "", "name the program that made it (default: spate and version)")
	f.BoolVar(&m.noDate, "no-date", false, "write no creation date")
	f.StringArrayVar(&m.include, "include", nil, "take only files that match this `GLOB`; repeatable")
	f.StringArrayVar(&m.exclude, "exclude", nil, "leave out files that match this `GLOB`; repeatable")
	f.BoolVar(&m.hidden, "hidden", false, "take hidden files too")
}

// options checks the flags and converts them to options of the maker.
func (m *makeFlags) options() (maker.Options, error) {
	o := maker.Options{
		Format: metainfo.Format(strings.ToLower(m.format)), PieceLength: int64(m.pieceLength.sizeValue), Name: m.name,
		Private: m.private, Comment: m.comment, Source: m.source,
		CreatedBy: m.createdBy, NoDate: m.noDate, Include: m.include, Exclude: m.exclude, Hidden: m.hidden,
	}
	if !slices.Contains([]metainfo.Format{"", metainfo.V1, metainfo.V2, metainfo.Hybrid}, o.Format) {
		return o, fault.Usagef("--format %s: the value must be v1, v2 or hybrid", m.format)
	}
	if n := o.PieceLength; n != 0 && o.Format != metainfo.V1 && (n < 16<<10 || n&(n-1) != 0) {
		return o, fault.UsageHint("write 256KiB, 1MiB, 4MiB ...; --format v1 takes any length", "--piece-length %d: v2 hashes need a power of two from 16KiB", n)
	}
	webSeeds := torrentfile.WebSeeds
	if m.site {
		webSeeds = torrentfile.WebSeedsOrSelf
	}
	var err error
	if o.WebSeeds, err = webSeeds("--web-seed", m.webSeeds); err != nil {
		return o, err
	}
	if err := checkTexts(m.comment, m.source, m.createdBy); err != nil {
		return o, err
	}
	for flag, patterns := range map[string][]string{"--include": m.include, "--exclude": m.exclude} {
		if _, err := maker.Matcher(patterns); err != nil {
			return o, fault.Usagef("%s: %w", flag, err)
		}
	}
	o.Announce, err = torrentfile.ParseTiers("--announce", m.announce)
	return o, err
}

// checkTexts checks the values of --comment, --source and --created-by.
func checkTexts(comment, source, createdBy string) error {
	return cmp.Or(torrentfile.CheckText("--comment", comment), torrentfile.CheckText("--source", source), torrentfile.CheckText("--created-by", createdBy))
}
