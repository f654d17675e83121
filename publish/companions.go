package publish

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/folder"
	"spate/internal/watch"
	"spate/metainfo"
)

// Some files of a watched folder belong to an entry and are no release of their own: NAME.md
// contains the notes of NAME, the data of NAME.torrent is seeded with that torrent, and
// NAME.torrent.v2 contains the v2 hashes that NAME.torrent leaves out (a name that is too long for
// that is cut). While one of the two is replaced or written, the other is alone for a moment, and
// must not become a release.

// aloneFor is the time after which notes without their entry, and data whose .torrent was
// removed, become a release of their own. Until then the other may be on its way.
const aloneFor = 15 * time.Second

// isAlone reports whether aloneFor has passed since the notes in the file name were first seen
// without their entry, or since the .torrent name was first missed. It adds name to now, which
// becomes f.alone.
func (f *Folder) isAlone(name string, now map[string]time.Time) bool {
	t := f.pub.opts.Now()
	since, ok := f.alone[name]
	if !ok {
		since = t
	}
	now[name] = since
	return t.Sub(since) >= aloneFor
}

// items returns the entries to publish, sorted by name, and the names of the files with
// their notes. entries has the complete entries of scan, there all entries that are present, and
// mine the releases of the folder by entry.
func (f *Folder) items(in *folder.Folder, scan watch.Scan, entries map[string]watch.Entry, there map[string]bool, mine map[string]*Release) (items []item, notes map[string]string) {
	alone := map[string]time.Time{}
	torrents, data, held := f.torrentFiles(in, scan, entries, alone)
	notes = map[string]string{}
	for name, e := range entries {
		if stem, ok := strings.CutSuffix(name, ".md"); ok && !e.Dir && entries[stem].Name != "" {
			notes[stem] = name
		}
	}
	for name, e := range entries {
		of, isTorrent := torrents[name]
		stem, isNotes := strings.CutSuffix(name, ".md")
		switch {
		case isNotes && notes[stem] == name || data[name] && !isTorrent:
		case isV2Hashes(name):
		case held[name] && !isTorrent && mine[name] == nil:
		case isNotes && !e.Dir && (there[stem] || mine[stem] != nil || mine[name] == nil && (onItsWay(stem, scan) || !f.isAlone(name, alone))):
		case isTorrent:
			it := item{Entry: e, torrent: name}
			for _, name := range of.data {
				if d, ok := entries[name]; ok {
					it.Stamp += "-" + d.Stamp
				}
				it.waits = it.waits || slices.Contains(scan.Waiting, name)
			}
			items = append(items, it)
		default:
			items = append(items, item{Entry: e})
		}
	}
	f.alone, f.torrents = alone, torrents
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.Name, b.Name) })
	return items, notes
}

// onItsWay reports whether an entry that is absent is being written under a temporary name,
// such as name.part or .name.x7Gh2k, or is an entry that was refused.
func onItsWay(name string, scan watch.Scan) bool {
	return slices.ContainsFunc(scan.Temporary, func(t string) bool { return isTemporaryOf(t, name) }) ||
		slices.ContainsFunc(scan.Refused, func(r watch.Refused) bool { return r.Name == name })
}

// rsyncEnding is what rsync appends to the name of a file that it writes.
var rsyncEnding = regexp.MustCompile(`^\.[0-9A-Za-z]{6}$`)

// isTemporaryOf reports whether a program that writes the file name calls it t meanwhile.
func isTemporaryOf(t, name string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(t, ".~#$"), name)
	return ok && (watch.Temporary("x"+rest) || strings.HasPrefix(t, ".") && rsyncEnding.MatchString(rest))
}

// isTorrentName reports whether name is that of a .torrent file.
func isTorrentName(name string) bool { return strings.EqualFold(filepath.Ext(name), ".torrent") }

// isV2Hashes reports whether name is that of the v2 hashes of a .torrent. They are no release, even
// without the .torrent.
func isV2Hashes(name string) bool {
	stem, ok := strings.CutSuffix(name, metainfo.V2HashesExtension)
	return ok && (isTorrentName(stem) || atomicfile.IsCut(name, metainfo.V2HashesExtension))
}

// torrentFiles returns the .torrent files of the folder, and the names of their data. held has
// the names of data whose .torrent is being written or was just removed: it must not become a
// release of its own yet.
func (f *Folder) torrentFiles(in *folder.Folder, scan watch.Scan, entries map[string]watch.Entry, alone map[string]time.Time) (torrents map[string]torrentFile, data, held map[string]bool) {
	torrents, data, held = map[string]torrentFile{}, map[string]bool{}, map[string]bool{}
	add := func(to map[string]bool, name string, t torrentFile) {
		torrents[name] = t
		for _, name := range t.data {
			to[name] = true
		}
	}
	for name, e := range entries {
		if e.Dir || !isTorrentName(name) {
			continue
		}
		t := f.torrents[name]
		if t.stamp != e.Stamp {
			t = torrentFile{stamp: e.Stamp}
			if m, err := readTorrent(in, name); err == nil {
				t.data = append([]string{m.Info.Name}, m.OtherNames()...)
			}
		}
		add(data, name, t)
	}
	for _, name := range scan.Waiting {
		if !isTorrentName(name) {
			continue
		}
		t, known := f.torrents[name]
		if !known { // its content is not complete, but its name tells the usual name of the data
			t.data = []string{strings.TrimSuffix(name, filepath.Ext(name))}
		}
		add(held, name, t)
	}
	for name, t := range f.torrents {
		if _, there := torrents[name]; !there && !f.isAlone(name, alone) {
			add(held, name, t)
		}
	}
	return torrents, data, held
}
