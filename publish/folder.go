package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"spate/internal/watch"
	"spate/metainfo"
)

// FolderOptions say how a [Folder] publishes. The zero value will do.
type FolderOptions struct {
	Spec  Spec // of every release; what is of one only does not count
	Group string
	// Older is how many versions before the newest stay reachable, where their
	// data can be kept. 0: none.
	Older int
	// Told is called after a release is listed or withdrawn; nil: nothing is.
	Told func(what string, r *Release)
	Log  *slog.Logger // nil: nowhere
}

// Folder makes a release of everything that is complete in a directory, and takes
// it back when it is removed; what changes becomes another version. A file NAME.md
// beside NAME is its notes. Beside a .torrent file lies its data, which is seeded
// as that torrent, and not published on its own.
type Folder struct {
	dir  string
	pub  *Publisher
	opt  FolderOptions
	turn *sync.Mutex // held while one of several folders hashes

	mu      sync.Mutex
	scan    watch.Scan
	fresh   chan struct{} // holds one when scan is new
	refused map[string]refusal
	entries int
	waiting int

	// These belong to Step.
	torrents map[string]torrentFile
	empty    bool // it was said that the folder is empty
}

// refusal is why an entry could not be published, as long as it is the same.
type refusal struct {
	stamp, why string
	again      time.Time // when to try again though it is; zero: not
}

// torrentFile is the data that a .torrent file names, "" if it is malformed.
type torrentFile struct{ stamp, data string }

// retryAfter is when to try again what failed for a reason that may pass.
const retryAfter = time.Minute

// FolderStatus is what a folder does.
type FolderStatus struct {
	Dir, Group string
	Entries    int               // published from it
	Waiting    int               // still being written, or in line
	Err        error             // why it cannot be read, or nil
	Refused    map[string]string // entries that cannot be published, and why
}

// NewFolder returns what publishes the directory dir. Folders that are given the
// same turn hash one after the other.
func NewFolder(dir string, p *Publisher, turn *sync.Mutex, opt FolderOptions) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Told == nil {
		opt.Told = func(string, *Release) {}
	}
	return &Folder{dir: dir, pub: p, opt: opt, turn: turn, fresh: make(chan struct{}, 1), refused: map[string]refusal{}, torrents: map[string]torrentFile{}}, err
}

// Status returns what the folder does.
func (f *Folder) Status() FolderStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := FolderStatus{Dir: f.dir, Group: f.opt.Group, Entries: f.entries, Waiting: f.waiting, Err: f.scan.Err, Refused: map[string]string{}}
	for name, r := range f.refused {
		s.Refused[name] = r.why
	}
	return s
}

// Seen takes what a watcher saw. It does not wait.
func (f *Folder) Seen(s watch.Scan) {
	f.mu.Lock()
	f.scan = s
	f.mu.Unlock()
	select {
	case f.fresh <- struct{}{}:
	default:
	}
}

// Run makes the releases agree with what was seen until ctx ends, whose cause it
// returns.
func (f *Folder) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.fresh:
		}
		for f.Step(ctx) && ctx.Err() == nil {
		}
	}
}

// plan is what there is to be done about a scan.
type plan struct {
	withdraw []*Release
	notes    map[string]string // by reference
	publish  []item
	same     int // releases that are as they should be
}

// item is an entry to be published.
type item struct {
	watch.Entry
	torrent string   // its .torrent file, or ""
	old     *Release // that it replaces, or nil
}

// Step takes back everything that is gone and publishes at most one entry. It
// reports whether there is more to do.
func (f *Folder) Step(ctx context.Context) bool {
	f.mu.Lock()
	scan := f.scan
	f.mu.Unlock()
	if scan.Err != nil {
		return false // nothing is known
	}
	pl, err := f.plan(ctx, scan)
	if err != nil {
		f.opt.Log.Error("publish: a watched folder cannot be brought up to date", "folder", f.dir, "err", err)
		return false
	}
	for _, r := range pl.withdraw {
		if err := f.pub.Withdraw(ctx, r.Ref()); err != nil && !errors.Is(err, ErrNotFound) {
			f.opt.Log.Error("publish: not withdrawn", "release", r.Ref(), "err", err)
			continue
		}
		f.opt.Told("withdrawn", r)
	}
	for ref, notes := range pl.notes {
		if err := f.pub.opts.Catalog.Update(ctx, ref, Change{Notes: &notes}); err != nil {
			f.opt.Log.Error("publish: the notes are not changed", "release", ref, "err", err)
		}
	}
	f.mu.Lock()
	f.entries, f.waiting = pl.same, len(scan.Waiting)+len(pl.publish)
	f.mu.Unlock()
	if len(pl.publish) == 0 {
		return false
	}
	f.turn.Lock()
	defer f.turn.Unlock()
	f.one(ctx, pl.publish[0])
	return true
}

// plan compares what is there with what is listed.
func (f *Folder) plan(ctx context.Context, scan watch.Scan) (*plan, error) {
	list, _, err := f.pub.opts.Catalog.List(ctx, Query{All: true})
	if err != nil {
		return nil, err
	}
	mine := map[string]*Release{} // by entry
	for _, r := range list {
		if r.Watched != "" && filepath.Dir(r.Watched) == f.dir {
			mine[filepath.Base(r.Watched)] = r
		}
	}
	there := map[string]bool{}
	for _, name := range scan.Waiting {
		there[name] = true
	}
	entries := map[string]watch.Entry{}
	for _, e := range scan.Entries {
		there[e.Name], entries[e.Name] = true, e
	}
	pl := &plan{notes: map[string]string{}}
	if len(there) == 0 && len(mine) > 0 && !f.sawSome() {
		if !f.empty {
			f.opt.Log.Warn("publish: the folder is empty, as where nothing is mounted: its releases stay until something is in it, or until they are withdrawn by hand", "folder", f.dir)
		}
		f.empty = true
		return pl, nil
	}
	f.empty = false
	items, notes := f.items(entries)
	isItem := map[string]bool{}
	for _, it := range items {
		isItem[it.Name] = true
	}
	f.forget(isItem)
	for _, it := range items {
		r := mine[it.Name]
		switch {
		case r == nil || r.Stamp != it.Stamp:
			if !f.isRefused(it) {
				it.old = r
				pl.publish = append(pl.publish, it)
			}
		default:
			pl.same++
			if text, err := readNotes(notes[it.Name], f.dir); err == nil && notes[it.Name] != "" {
				f.planNotes(ctx, pl, r, text)
			}
		}
	}
	// What is the data of a torrent now, or gone.
	for name, r := range mine {
		if !there[name] || entries[name].Name != "" && !isItem[name] {
			pl.withdraw = append(pl.withdraw, f.family(ctx, r)...)
		}
	}
	return pl, nil
}

// sawSome reports whether the folder was not empty since the program began.
func (f *Folder) sawSome() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entries > 0
}

// family is r and what it has replaced.
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

// replaced is the stamp of a version of which there is another.
const replaced = "replaced"

// items are the entries to be published, in their order, and for each the file
// with its notes.
func (f *Folder) items(entries map[string]watch.Entry) (items []item, notes map[string]string) {
	torrents, data := map[string]torrentFile{}, map[string]bool{}
	notes = map[string]string{}
	for name, e := range entries {
		if !e.Dir && strings.EqualFold(filepath.Ext(name), ".torrent") {
			t := f.torrents[name]
			if t.stamp != e.Stamp {
				t = torrentFile{stamp: e.Stamp}
				if m, err := metainfo.ReadFile(filepath.Join(f.dir, name)); err == nil {
					t.data = m.Info.Name
				}
			}
			torrents[name] = t
			data[t.data] = true
		}
		if stem, ok := strings.CutSuffix(name, ".md"); ok && !e.Dir && entries[stem].Name != "" {
			notes[stem] = name
		}
	}
	f.torrents = torrents
	for name, e := range entries {
		of, isTorrent := torrents[name]
		stem, isNotes := strings.CutSuffix(name, ".md")
		switch {
		case isNotes && notes[stem] == name || data[name] && !isTorrent:
		case isTorrent:
			it := item{Entry: e, torrent: name}
			if d, ok := entries[of.data]; ok {
				it.Stamp += "-" + d.Stamp
			}
			items = append(items, it)
		default:
			items = append(items, item{Entry: e})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.Name, b.Name) })
	return items, notes
}

// readNotes reads the notes in the file of that name, "" if there are none.
func readNotes(name, dir string) (string, error) {
	if name == "" {
		return "", nil
	}
	path := filepath.Join(dir, name)
	if info, err := os.Stat(path); err != nil || info.Size() > MaxNotes {
		return "", errors.Join(err, fmt.Errorf("%s is larger than %d bytes", path, MaxNotes))
	}
	b, err := os.ReadFile(path)
	return strings.ToValidUTF8(string(b), "\ufffd"), err
}

func (f *Folder) planNotes(ctx context.Context, pl *plan, r *Release, text string) {
	if full, err := f.pub.opts.Catalog.Get(ctx, r.Ref()); err == nil && full.Notes != text {
		pl.notes[r.Ref()] = text
	}
}

// isRefused reports whether an entry was tried as it is.
func (f *Folder) isRefused(it item) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.refused[it.Name]
	return r.stamp == it.Stamp && (r.again.IsZero() || f.pub.opts.Now().Before(r.again))
}

// forget drops refusals of what is not there any more.
func (f *Folder) forget(isItem map[string]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.refused {
		if !isItem[name] {
			delete(f.refused, name)
		}
	}
}

// one publishes an entry.
func (f *Folder) one(ctx context.Context, it item) {
	path := filepath.Join(f.dir, it.Name)
	spec := f.opt.Spec
	spec.Group, spec.Watched, spec.Stamp = f.opt.Group, path, it.Stamp
	spec.Keep, spec.Newer = f.opt.Older > 0, it.old != nil
	notes := it.Name + ".md"
	if it.torrent != "" {
		notes = ""
	}
	if text, err := readNotes(notes, f.dir); err == nil {
		spec.Notes = text
	}
	if it.old != nil {
		spec.Slug, spec.Variant = it.old.Slug, it.old.Variant
	}
	r, err := f.make(ctx, it, path, spec)
	var same *SameError
	switch {
	case ctx.Err() != nil:
		return
	case errors.As(err, &same) && (it.old != nil && same.Release.Ref() == it.old.Ref() || f.orphan(same.Release)):
		err = f.pub.Moved(ctx, same.Release, f.dataPath(it, path), path, it.Stamp)
		if it.old != nil && it.old.Ref() != same.Release.Ref() {
			err = errors.Join(err, f.retire(ctx, it.old))
		}
	case err == nil:
		f.opt.Told("published", r)
		if it.old != nil {
			err = f.retire(ctx, it.old)
		}
	}
	if err != nil {
		f.opt.Log.Warn("publish: an entry of a watched folder is not published", "path", path, "err", err)
		no := refusal{stamp: it.Stamp, why: err.Error()}
		if errors.Is(err, ErrExists) && same == nil || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EIO) {
			no.again = f.pub.opts.Now().Add(retryAfter)
		}
		f.mu.Lock()
		f.refused[it.Name] = no
		f.mu.Unlock()
		return
	}
	f.mu.Lock()
	delete(f.refused, it.Name)
	f.mu.Unlock()
}

// orphan reports whether nothing in a watched folder stands for r any more.
func (f *Folder) orphan(r *Release) bool {
	if r.Watched == "" {
		return r.Stamp == replaced
	}
	_, err := os.Lstat(r.Watched)
	return err != nil
}

// make publishes an entry, or adopts the torrent that it is.
func (f *Folder) make(ctx context.Context, it item, path string, spec Spec) (*Release, error) {
	if it.torrent == "" {
		return f.pub.Publish(ctx, path, spec)
	}
	m, err := metainfo.ReadFile(path)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(f.dir, m.Info.Name)
	if _, err := os.Stat(data); err != nil {
		return nil, fmt.Errorf("its data %q is not beside it", m.Info.Name)
	}
	return f.pub.Adopt(ctx, m, data, spec)
}

// dataPath is where the data of an entry lies.
func (f *Folder) dataPath(it item, path string) string {
	if it.torrent == "" {
		return path
	}
	if m, err := metainfo.ReadFile(path); err == nil {
		return filepath.Join(f.dir, m.Info.Name)
	}
	return path
}

// retire makes old, which there is another version of, an older one, or withdraws
// it where its data is not kept any more; and withdraws those that are too many.
func (f *Folder) retire(ctx context.Context, old *Release) error {
	full, err := f.pub.opts.Catalog.Get(ctx, old.Ref())
	if err != nil {
		return err
	}
	// What is linked is written to in place with what it is a link to.
	if k := f.pub.opts.Keeper; k == nil || !k.Holds(old) || full.Intact() != nil {
		if err := f.pub.Withdraw(ctx, old.Ref()); err != nil {
			return err
		}
		f.opt.Told("withdrawn", old)
		return nil
	}
	none, stamp := "", replaced
	if err := f.pub.opts.Catalog.Update(ctx, old.Ref(), Change{Watched: &none, Stamp: &stamp}); err != nil {
		return err
	}
	list, err := f.pub.opts.Catalog.Family(ctx, old.Slug)
	if err != nil {
		return err
	}
	var errs []error
	older := 0
	for _, r := range list {
		if r.Stamp != replaced || r.Variant != old.Variant {
			continue
		}
		if older++; older > f.opt.Older {
			errs = append(errs, f.pub.Withdraw(ctx, r.Ref()))
			f.opt.Told("withdrawn", r)
		}
	}
	return errors.Join(errs...)
}
