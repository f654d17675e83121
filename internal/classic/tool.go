package classic

import (
	"slices"
	"strings"
)

// Tool describes one of the BitTorrent tools of 2005.
type Tool struct {
	Name    string
	Summary string   // one line, without a full stop
	Args    []string // ways to call it, without the name
	Min     int      // the minimum number of arguments that are not options
	Max     int      // the maximum number; negative: no limit
	Options []Option
}

// Kind is the type of the value of an option.
type Kind uint8

// The types of values.
const (
	Text  Kind = iota
	Int        // a whole number, possibly negative
	Float      // a decimal number
)

// Origin says which manual pages describe an option.
type Origin uint8

// The origins, as a set.
const (
	Mainline Origin = 1 << iota // bittorrent 3.4.2
	Tornado                     // BitTornado 0.3.18
	Both     = Mainline | Tornado
)

// String returns the name of the program, or "both".
func (o Origin) String() string {
	switch o {
	case Mainline:
		return "bittorrent"
	case Tornado:
		return "BitTornado"
	}
	return "both"
}

// Option is an option of a tool.
type Option struct {
	Name    string // without dashes, with underscores
	Kind    Kind
	Default string // empty: none
	From    Origin
	Works   bool
	// Means says what the option does, or why it has no effect. It begins with a small
	// letter.
	Means string
}

// Tools returns all tools.
func Tools() []*Tool {
	make := []string{"FILE TRACKER_URL [--option value ...]", "TRACKER_URL FILE... [--option value ...]"}
	get := []string{"[--option value ...] URL", "[--option value ...] FILE.torrent", "--url URL [--option value ...]", "--responsefile FILE.torrent [--option value ...]"}
	many := []string{"DIRECTORY [--option value ...]"}
	return []*Tool{
		{Name: "btmakemetafile", Summary: "make a .torrent file for a file or a directory", Args: make, Min: 2, Max: -1, Options: makeOptions()},
		{Name: "btcompletedir", Summary: "make a .torrent file for each entry of a directory", Args: []string{"TRACKER_URL DIRECTORY... [--option value ...]", "DIRECTORY TRACKER_URL [--option value ...]"},
			Min: 2, Max: -1, Options: makeOptions()},
		{Name: "btshowmetainfo", Summary: "print the contents of .torrent files", Args: []string{"FILE.torrent..."}, Min: 1, Max: -1},
		{Name: "btreannounce", Summary: "replace the trackers of .torrent files", Args: []string{"TRACKER_URL [--announce_list LIST] FILE.torrent..."},
			Min: 2, Max: -1, Options: []Option{announceList()}},
		{Name: "btrename", Summary: "change the name of the data in a .torrent file", Args: []string{"FILE.torrent NAME"}, Min: 2, Max: 2},
		{Name: "btcopyannounce", Summary: "copy the trackers of one .torrent file to others", Args: []string{"FROM.torrent TO.torrent..."}, Min: 2, Max: -1},
		{Name: "btsethttpseeds", Summary: "set the HTTP seeds of .torrent files", Args: []string{"URL[|URL...] FILE.torrent...", "0 FILE.torrent..."}, Min: 2, Max: -1},
		{Name: "bttrack", Summary: "run a tracker", Args: []string{"--dfile FILE [--option value ...]"}, Options: trackOptions()},
		{Name: "btdownloadheadless", Summary: "download and seed, with a status block on standard output", Args: get, Max: 1, Options: getOptions()},
		{Name: "btdownloadcurses", Summary: "download and seed, on a terminal screen", Args: get, Max: 1, Options: getOptions()},
		{Name: "btdownloadgui", Summary: "download with the graphical client in the browser", Args: append(slices.Clone(get), ""), Max: 1, Options: guiOptions()},
		{Name: "btlaunchmany", Summary: "download and seed every .torrent in a directory", Args: many, Min: 1, Max: 1, Options: manyOptions()},
		{Name: "btlaunchmanycurses", Summary: "download and seed every .torrent in a directory, on a terminal screen", Args: many, Min: 1, Max: 1, Options: manyOptions()},
	}
}

// Lookup returns the tool with a name, or nil. The name may end with ".py".
func Lookup(name string) *Tool {
	name = strings.TrimSuffix(name, ".py")
	tools := Tools()
	if i := slices.IndexFunc(tools, func(t *Tool) bool { return t.Name == name }); i >= 0 {
		return tools[i]
	}
	return nil
}

// Option returns the option with a name, or nil. The name may have dashes in place of
// underscores.
func (t *Tool) Option(name string) *Option {
	name = strings.ReplaceAll(name, "-", "_")
	if i := slices.IndexFunc(t.Options, func(o Option) bool { return o.Name == name }); i >= 0 {
		return &t.Options[i]
	}
	return nil
}
