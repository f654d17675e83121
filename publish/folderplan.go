package publish

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"spate/internal/folder"
	"spate/internal/torrentfile"
	"spate/internal/watch"
	"spate/maker"
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
	waits   bool     // the data of the .torrent is still being written
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
	items, notes := f.items(in, scan, entries, there, mine)
	isItem := map[string]bool{}
	for _, it := range items {
		isItem[it.Name] = true
	}
	f.forget(isItem)
	written := f.opt.Written()
	for _, name := range scan.Waiting { // an entry that this program writes to is never complete
		if err := checkOwn(in, name, written); err != nil {
			pl.ignored[name] = err
		}
	}
	for _, it := range items {
		text, err := readNotes(in, notes[it.Name])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			pl.ignored[notes[it.Name]] = err
		}
		r := mine[it.Name]
		switch {
		case it.waits:
		case r == nil || r.Stamp != it.Stamp:
			if err := checkOwn(in, it.Name, written); err != nil {
				pl.ignored[it.Name] = err
			} else if !f.isRefused(it) {
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

// checkOwn returns a [*maker.WrittenError] if the entry name is or contains one of the files and
// directories in written.
func checkOwn(in *folder.Folder, name string, written []fs.FileInfo) error {
	if len(written) == 0 {
		return nil
	}
	check := func(path string, info fs.FileInfo) error {
		if slices.ContainsFunc(written, func(w fs.FileInfo) bool { return os.SameFile(w, info) }) {
			return &maker.WrittenError{Path: in.Path(path)}
		}
		return nil
	}
	info, err := in.Stat(name)
	if err != nil {
		return nil // the publisher reports it
	}
	if !info.IsDir() {
		return check(name, info)
	}
	var own error
	in.Walk(name, func(_ *folder.Folder, rel string, info fs.FileInfo, err error) error {
		if err == nil {
			own = check(filepath.Join(name, rel), info)
		}
		if own != nil {
			return fs.SkipAll
		}
		return nil
	})
	return own
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
		if o.Watched == "" && o.Stamp == replaced && o.Variant == r.Variant && f.ofEntry(o, filepath.Base(r.Watched)) {
			out = append(out, o)
		}
	}
	return out
}

// readNotes reads the notes in the file name. If name is "" it returns "".
func readNotes(in *folder.Folder, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	b, err := in.ReadFile(name, MaxNotes)
	return strings.ToValidUTF8(string(b), "\ufffd"), err
}

// readTorrent reads the .torrent file name, and the v2 hashes in the file beside it if the .torrent
// leaves them out. It ignores v2 hashes that are damaged.
func readTorrent(in *folder.Folder, name string) (*metainfo.MetaInfo, error) {
	b, err := in.ReadChecked(name, metainfo.MaxSize, folder.Head{Size: metainfo.HeadSize, Check: metainfo.CheckHead})
	if err != nil {
		return nil, err
	}
	m, err := metainfo.Parse(b)
	if err == nil {
		torrentfile.AddV2Hashes(in, name, m)
	}
	return m, err
}

// planNotes adds text as the new notes of r to pl, if they differ.
func (f *Folder) planNotes(ctx context.Context, pl *plan, r *Release, text string) {
	if full, err := f.pub.opts.Catalog.Get(ctx, r.Ref()); err == nil && full.Notes != text {
		pl.notes[r.Ref()] = text
	}
}
