package cli

import (
	"fmt"
	"slices"
	"strings"

	"spate/internal/units"
	"spate/maker"
	"spate/metainfo"
)

// advice returns warnings about properties of a valid torrent that other programs do not
// support. file is the .torrent file of m.
func advice(m *metainfo.MetaInfo, file []byte) []string {
	list := excesses(m, file)
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	i := &m.Info
	length := units.BinaryBytes(i.PieceLength)
	if i.Format() == metainfo.V2 {
		say("v2 only: Transmission, aria2, rtorrent and browsers cannot fetch it, but can fetch a v1 torrent with v2 hashes")
	}
	switch seeds := len(m.WebSeeds)+len(m.HTTPSeeds) > 0; {
	case i.PieceLength > 16<<20:
		say("pieces of %s: some programs refuse more than 16 MiB", length)
	case seeds && i.PieceLength > maker.PieceLength(i.TotalLength(), true):
		say("pieces of %s: browsers with a slow connection cannot fetch one from a web seed in time", length)
	}
	if data, pads := i.DataLength(), padding(i); pads > data && i.PieceLength > maker.MinPieceLength {
		say("%s of padding for %s of data: clients that do not know pad files download it; a smaller piece length avoids that", units.BinaryBytes(pads), units.BinaryBytes(data))
	}
	if i.Private && len(m.AnnounceList) == 0 {
		say("private without a tracker: no client can find peers")
	}
	if n := unportable(i); n > 0 {
		say("names that Windows cannot store: %s", units.Plural(n, "file"))
	}
	return list
}

// excesses returns a warning for each limit of other programs that m exceeds. file is the
// .torrent file of m.
func excesses(m *metainfo.MetaInfo, file []byte) []string {
	var list []string
	for _, e := range m.Exceeds(file) {
		list = append(list, e.String())
	}
	return list
}

// padding returns the bytes of all pad files.
func padding(i *metainfo.Info) (n int64) {
	for k := range i.Files {
		if i.Files[k].Pad() {
			n += i.Files[k].Length
		}
	}
	return n
}

// unportable counts the files with names that Windows does not allow.
func unportable(i *metainfo.Info) int {
	bad := func(part string) bool {
		return strings.ContainsAny(part, `<>:"|?*`) || strings.TrimRight(part, ". ") != part
	}
	if bad(i.Name) {
		return files(i)
	}
	n := 0
	for k := range i.Files {
		if f := &i.Files[k]; !f.Pad() && slices.ContainsFunc(f.Path, bad) {
			n++
		}
	}
	return n
}
