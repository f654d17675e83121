package publish

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spate/internal/folder"
	"spate/internal/watch"
	"spate/metainfo"
)

// plan lists the changes that make the releases agree with a scan.
type plan struct {
	withdraw []*Release
	notes    map[string]string // new notes by reference
	publish  []item
	same     int              // number of releases that need no change
	ignored  map[string]error // why links, pipes and notes are not read, by name
}

// item is an entry to publish.
type item struct {
	watch.Entry
	torrent string   // name of the .torrent file, or "" if the entry is not one
	old     *Release // the release that it replaces, or nil
}

// torrentFile is a .torrent file of the folder. data holds the names that its data can
// have, or none if the file is malformed.
type torrentFile struct {
	stamp string
	data  []string
}

// plan compares a scan with the catalog. The directory is open as in.
func (f *Folder) plan(ctx context.Context, in *folder.Folder, scan watch.Scan) (*plan, error) {
	list, _, err := f.pub.opts.Catalog.List(ctx, Query{All: true})
	if err != nil {
		return nil, err
	}
	mine := map[string]*Release{} // releases of this folder by entry
	for _, r := range list {
		if r.Watched != "" && filepath.Dir(r.Watched) == f.dir {
			mine[filepath.Base(r.Watched)] = r
		}
	}
	entries := map[string]watch.Entry{}
	for _, e := range scan.Entries {
		entries[e.Name] = e
	}
	pl := &plan{notes: map[string]string{}, ignored: map[string]error{}}
	for _, r := range scan.Refused {
		pl.ignored[r.Name] = r.Err
	}
	there := f.present(scan)
	if len(there)+len(scan.Refused) == 0 && len(mine) > 0 && !f.sawSome() {
		if !f.empty {
			f.opt.Log.Warn("publish: a watched folder is empty, perhaps because its disk is not mounted: its releases stay published until it has an entry, or until you withdraw them", "folder", f.dir)
		}
		f.empty = true
		return pl, nil
	}
	f.empty = false
	items, notes := f.items(in, entries, there, mine)
	isItem := map[string]bool{}
	for _, it := range items {
		isItem[it.Name] = true
	}
	f.forget(isItem)
	for _, it := range items {
		text, err := readNotes(in, notes[it.Name])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			pl.ignored[notes[it.Name]] = err
		}
		r := mine[it.Name]
		switch {
		case r == nil || r.Stamp != it.Stamp:
			if !f.isRefused(it) {
				it.old = r
				pl.publish = append(pl.publish, it)
			}
		default:
			pl.same++
			f.replaceLost(ctx, in, it, r)
			if err == nil && notes[it.Name] != "" {
				f.planNotes(ctx, pl, r, text)
			}
		}
	}
	// Withdraw the releases of removed entries, and of entries that are now the data of a
	// .torrent file.
	for name, r := range mine {
		if !there[name] || entries[name].Name != "" && !isItem[name] {
			pl.withdraw = append(pl.withdraw, f.family(ctx, r)...)
		}
	}
	return pl, nil
}

// present returns the names of the entries in the folder.
func (f *Folder) present(scan watch.Scan) map[string]bool {
	there := map[string]bool{}
	for _, name := range scan.Waiting {
		there[name] = true
	}
	for _, e := range scan.Entries {
		there[e.Name] = true
	}
	for _, r := range scan.Refused {
		if f.opt.FollowLinks && errors.Is(r.Err, fs.ErrNotExist) {
			there[r.Name] = true // the target may be on a disk that will be mounted again
		}
	}
	return there
}

// sawSome reports whether the folder has had an entry since the program started.
func (f *Folder) sawSome() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entries > 0
}

// family returns r and the older versions that r has replaced.
func (f *Folder) family(ctx context.Context, r *Release) []*Release {
	out := []*Release{r}
	list, err := f.pub.opts.Catalog.Family(ctx, r.Slug)
	if err != nil {
		return out
	}
	for _, o := range list {
		if o.Watched == "" && o.Stamp == replaced && o.Variant == r.Variant {
			out = append(out, o)
		}
	}
	return out
}

// replaced is the stamp of versions that a newer version has replaced.
const replaced = "replaced"

// notesAlone is the time after which notes without their entry become a release of their own.
// Until then the entry may be on its way, or be replaced.
const notesAlone = 15 * time.Second

// isAlone reports whether the notes in the file name have been without their entry for
// notesAlone. now has the notes that are without their entry at present.
func (f *Folder) isAlone(name string, now map[string]time.Time) bool {
	t := f.pub.opts.Now()
	since, ok := f.alone[name]
	if !ok {
		since = t
	}
	now[name] = since
	return t.Sub(since) >= notesAlone
}

// items returns the entries to publish, sorted by name, and the names of the files with
// their notes. there has all entries of the folder, even incomplete ones, and mine the
// releases of the folder by entry.
func (f *Folder) items(in *folder.Folder, entries map[string]watch.Entry, there map[string]bool, mine map[string]*Release) (items []item, notes map[string]string) {
	torrents, data := map[string]torrentFile{}, map[string]bool{}
	notes = map[string]string{}
	for name, e := range entries {
		if !e.Dir && strings.EqualFold(filepath.Ext(name), ".torrent") {
			t := f.torrents[name]
			if t.stamp != e.Stamp {
				t = torrentFile{stamp: e.Stamp}
				if m, err := readTorrent(in, name); err == nil {
					t.data = append([]string{m.Info.Name}, m.OtherNames()...)
				}
			}
			torrents[name] = t
			for _, name := range t.data {
				data[name] = true
			}
		}
		if stem, ok := strings.CutSuffix(name, ".md"); ok && !e.Dir && entries[stem].Name != "" {
			notes[stem] = name
		}
	}
	f.torrents = torrents
	alone := map[string]time.Time{}
	for name, e := range entries {
		of, isTorrent := torrents[name]
		stem, isNotes := strings.CutSuffix(name, ".md")
		switch {
		case isNotes && notes[stem] == name || data[name] && !isTorrent:
		case isNotes && !e.Dir && (there[stem] || mine[stem] != nil || mine[name] == nil && !f.isAlone(name, alone)):
		case isTorrent:
			it := item{Entry: e, torrent: name}
			for _, name := range of.data {
				if d, ok := entries[name]; ok {
					it.Stamp += "-" + d.Stamp
				}
			}
			items = append(items, it)
		default:
			items = append(items, item{Entry: e})
		}
	}
	f.alone = alone
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.Name, b.Name) })
	return items, notes
}

// readNotes reads the notes in the file name. If name is "" it returns "".
func readNotes(in *folder.Folder, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	b, err := in.ReadFile(name, MaxNotes)
	return strings.ToValidUTF8(string(b), "\ufffd"), err
}

// readTorrent reads the .torrent file name.
func readTorrent(in *folder.Folder, name string) (*metainfo.MetaInfo, error) {
	b, err := in.ReadFile(name, metainfo.MaxSize)
	if err != nil {
		return nil, err
	}
	return metainfo.Parse(b)
}

// planNotes adds text as the new notes of r to pl, if they differ.
func (f *Folder) planNotes(ctx context.Context, pl *plan, r *Release, text string) {
	if full, err := f.pub.opts.Catalog.Get(ctx, r.Ref()); err == nil && full.Notes != text {
		pl.notes[r.Ref()] = text
	}
}
