package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"spate/internal/folder"
	"spate/internal/watch"
	"spate/maker"
	"spate/metainfo"
)

// FolderOptions are the options of a [Folder]. The zero value is valid.
type FolderOptions struct {
	Spec  Spec // options of every release; those that name a release are ignored
	Group string
	// Older is the number of versions before the newest that stay published if their
	// data can be kept. 0: none.
	Older int
	// Names makes entries with names that match versions of one release; nil: each entry is a
	// release of its own. The entry that is published last is the newest version. Entries that are
	// there at the same time are published in the order of the numbers in their names.
	Names *NamePattern
	// FollowLinks allows links that lead out of the folder.
	FollowLinks bool
	// Settle is the time without changes after which an entry counts as complete. 0: three
	// seconds.
	Settle time.Duration
	// Rescan is the time after which the folder is read again without a notification from
	// the system. 0: 30 seconds.
	Rescan time.Duration
	// Written returns files and directories that this program writes to. An entry that is or
	// contains one of them is refused. Nil: none.
	Written func() []fs.FileInfo
	// OnChange is called after a release was published or withdrawn, with "published" or
	// "withdrawn"; nil: no call.
	OnChange func(what string, r *Release)
	Log      *slog.Logger // nil: messages are discarded
}

// Folder publishes the entries of a directory. It makes a release of each complete file or
// directory, and withdraws the release when the entry is removed. A changed entry becomes
// another version. A file NAME.md contains the notes of the entry NAME. A .torrent file
// needs its data in the same directory: the folder seeds the data with that torrent and
// makes no other release of it.
//
// Other users may write to the directory. The folder reads nothing outside of it unless
// FollowLinks is set.
type Folder struct {
	dir  string
	pub  *Publisher
	opt  FolderOptions
	turn *sync.Mutex // locked while a folder hashes; shared by several folders

	watcher *watch.Folder // used by Run only

	mu      sync.Mutex
	scan    watch.Scan
	fresh   chan struct{} // contains an element if scan is new
	refused map[string]refusal
	ignored map[string]string // reasons why links, pipes and notes are not read, by name
	entries int
	waiting int
	hashing *HashingStatus // of the entry that is hashed now; nil: none

	// The fields below are used by step only.
	torrents map[string]torrentFile
	alone    map[string]time.Time // when notes without their entry were first seen, or a .torrent was first missed; by name
	keptSeen map[string]time.Time // when all kept files of a release were last looked at
	empty    bool                 // whether the log already reports that the folder is empty
}

// refusal is the reason why an entry could not be published. It is valid while the entry
// has the same stamp.
type refusal struct {
	stamp, why string
	again      time.Time // time to try again with the same stamp; zero: never
}

// retryAfter is the time after which an entry is tried again if the failure may be
// temporary.
const retryAfter = time.Minute

// FolderStatus is the state of a [Folder].
type FolderStatus struct {
	Dir, Group string
	Entries    int               // number of published entries
	Waiting    int               // number of entries that are incomplete or not hashed yet
	Hashing    *HashingStatus    // of the entry that is hashed now; nil: none
	Err        error             // why the directory cannot be read, or nil
	Refused    map[string]string // reasons why entries are not published or notes not read, by name
}

// NewFolder returns a Folder that publishes the directory dir with p. Folders with the same
// turn hash one after the other.
func NewFolder(dir string, p *Publisher, turn *sync.Mutex, opt FolderOptions) (*Folder, error) {
	if dir == "" {
		return nil, fmt.Errorf("publish: a watched folder: %w", maker.ErrNoPath)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Written == nil {
		opt.Written = func() []fs.FileInfo { return nil }
	}
	if opt.OnChange == nil {
		opt.OnChange = func(string, *Release) {}
	}
	watcher, err := watch.New(dir, watch.Options{Settle: opt.Settle, Rescan: opt.Rescan, FollowLinks: opt.FollowLinks, Log: opt.Log})
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	return &Folder{
		dir: dir, pub: p, opt: opt, turn: turn, watcher: watcher,
		fresh: make(chan struct{}, 1), refused: map[string]refusal{}, torrents: map[string]torrentFile{},
	}, nil
}

// Status returns the current state of the folder.
func (f *Folder) Status() FolderStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := FolderStatus{Dir: f.dir, Group: f.opt.Group, Entries: f.entries, Waiting: f.waiting, Err: f.scan.Err, Refused: map[string]string{}}
	if f.hashing != nil {
		now := *f.hashing
		s.Hashing = &now
	}
	maps.Copy(s.Refused, f.ignored)
	for name, r := range f.refused {
		s.Refused[name] = r.why
	}
	return s
}

// open opens the directory.
func (f *Folder) open() (*folder.Folder, error) {
	return folder.Open(f.dir, folder.Options{FollowLinks: f.opt.FollowLinks})
}

// setScan records what the watcher saw, for Run.
func (f *Folder) setScan(s watch.Scan) {
	f.mu.Lock()
	f.scan = s
	f.mu.Unlock()
	select {
	case f.fresh <- struct{}{}:
	default:
	}
}

// Run watches the directory and publishes and withdraws releases to match it. It runs until
// ctx ends and returns its cause.
func (f *Folder) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(f.watcher.Run(ctx, f.setScan))
	}()
	defer func() {
		cancel(nil)
		<-ended
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.fresh:
		}
		for f.step(ctx) && ctx.Err() == nil {
		}
	}
}

// step withdraws the releases of removed entries and publishes at most one entry. It
// reports whether there is more to do.
func (f *Folder) step(ctx context.Context) bool {
	f.mu.Lock()
	scan := f.scan
	f.mu.Unlock()
	if scan.Err != nil {
		return false // the content of the folder is unknown
	}
	in, err := f.open()
	var pl *plan
	if err == nil {
		defer in.Close()
		pl, err = f.plan(ctx, in, scan)
	}
	if err != nil {
		f.opt.Log.Error("publish: reading a watched folder failed", "folder", f.dir, "err", err)
		return false
	}
	f.ignore(pl.ignored)
	for _, r := range pl.withdraw {
		if err := f.pub.withdrawOnly(ctx, r); err != nil && !errors.Is(err, ErrNotFound) {
			f.opt.Log.Error("publish: withdrawing a release failed", "release", r.Ref(), "err", err)
			continue
		}
		f.opt.OnChange("withdrawn", r)
	}
	for ref, notes := range pl.notes {
		if err := f.pub.opts.Catalog.Update(ctx, ref, Change{Notes: &notes}); err != nil {
			f.opt.Log.Error("publish: changing the notes of a release failed", "release", ref, "err", err)
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
	if f.opt.Names != nil {
		slices.SortStableFunc(pl.publish, func(a, b item) int { return compareVersions(a.Name, b.Name) })
	}
	f.one(ctx, in, pl.publish[0])
	f.setHashing(nil)
	return true
}

// ignore records the entries that are not read, and logs those with a new reason.
func (f *Folder) ignore(now map[string]error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ignored := map[string]string{}
	for name, err := range now {
		ignored[name] = err.Error()
		if f.ignored[name] != ignored[name] {
			f.opt.Log.Warn("publish: an entry of a watched folder is ignored", "path", filepath.Join(f.dir, name), "err", err)
		}
	}
	f.ignored = ignored
}

// isRefused reports whether the entry could not be published with its present stamp, and
// the time to try again has not come.
func (f *Folder) isRefused(it item) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.refused[it.Name]
	return r.stamp == it.Stamp && (r.again.IsZero() || f.pub.opts.Now().Before(r.again))
}

// forget removes the refusals of entries that no longer exist.
func (f *Folder) forget(isItem map[string]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.refused {
		if !isItem[name] {
			delete(f.refused, name)
		}
	}
}

// one publishes an entry of the folder, whose directory is open as in.
func (f *Folder) one(ctx context.Context, in *folder.Folder, it item) {
	path := filepath.Join(f.dir, it.Name)
	spec := f.opt.Spec
	spec.Group, spec.Watched, spec.Stamp = f.opt.Group, path, it.Stamp
	spec.Keep, spec.Newer = f.opt.Older > 0, it.old != nil
	spec.Written = append(slices.Clip(spec.Written), f.opt.Written()...)
	skipped, left := spec.Skipped, maker.LeftOut{}
	spec.Skipped = func(s maker.Skipped) {
		left.Add(s)
		if s.Reason == maker.SkipOutside {
			f.opt.Log.Warn("publish: a symbolic link is left out of a release", "path", filepath.Join(path, filepath.FromSlash(s.Path)), "why", s.Reason)
		} else if skipped != nil {
			skipped(s)
		}
	}
	if it.torrent == "" {
		spec.Notes, _ = readNotes(in, it.Name+".md") // plan has reported the error
	}
	if it.old != nil {
		spec.Slug, spec.Variant = it.old.Slug, it.old.Variant
	}
	spec.Progress = func(g maker.Progress) {
		f.setHashing(&HashingStatus{Name: it.Name, Done: g.Done, Total: g.Total, Rate: g.Rate})
	}
	err := f.nameVersion(ctx, it.Name, &spec)
	var r *Release
	if err == nil {
		r, err = f.make(ctx, in, it, spec)
	}
	if !left.Expected() {
		f.opt.Log.Warn("publish: "+left.String(), "path", path)
	}
	var same *SameError
	switch {
	case ctx.Err() != nil:
		return
	case errors.As(err, &same) && (it.old != nil && same.Release.Ref() == it.old.Ref() || f.orphan(same.Release)):
		var at string
		if at, err = f.dataPath(in, it); err == nil {
			err = f.pub.Moved(ctx, same.Release, at, path, it.Stamp)
		}
		if it.old != nil && it.old.Ref() != same.Release.Ref() {
			err = errors.Join(err, f.retire(ctx, it.old))
		}
	case err == nil:
		f.opt.OnChange("published", r)
		if it.old != nil {
			err = f.retire(ctx, it.old)
		}
	}
	if err != nil {
		f.opt.Log.Warn("publish: publishing an entry of a watched folder failed", "path", path, "err", err)
		no := refusal{stamp: it.Stamp, why: err.Error()}
		var changed *maker.ChangedError // the stamp is the same if the modification time was put back
		if errors.Is(err, ErrExists) && same == nil || errors.As(err, &changed) || errors.Is(err, ErrTouched) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EIO) {
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

// orphan reports whether no entry belongs to r any more: the entry was removed, or a newer version has
// replaced r.
func (f *Folder) orphan(r *Release) bool {
	if r.Watched == "" {
		return r.Stamp == replaced
	}
	_, err := os.Lstat(r.Watched)
	return err != nil
}

// make publishes the data of an entry, or the torrent if the entry is a .torrent file.
func (f *Folder) make(ctx context.Context, in *folder.Folder, it item, spec Spec) (*Release, error) {
	spec.Root = in.Root()
	if it.torrent == "" {
		return f.pub.Publish(ctx, f.named(in, it.Name), spec)
	}
	m, err := readTorrent(in, it.torrent)
	if err != nil {
		return nil, err
	}
	name, err := dataName(in, m)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the data %q is not in the same folder", m.Info.Name)
	case err != nil:
		return nil, fmt.Errorf("the data cannot be seeded: %w", err)
	}
	return f.pub.Adopt(ctx, m, f.named(in, name), spec)
}

// dataName returns the name that the data of m has in the folder.
func dataName(in *folder.Folder, m *metainfo.MetaInfo) (string, error) {
	_, err := in.Stat(m.Info.Name)
	for _, name := range m.OtherNames() {
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if _, other := in.Stat(name); other == nil {
			return name, nil
		}
	}
	return m.Info.Name, err
}

// named returns the path of an entry for the publisher: relative to the root of in, or
// absolute if links are followed and in has no root.
func (f *Folder) named(in *folder.Folder, name string) string {
	if in.Root() != nil {
		return name
	}
	return in.Path(name)
}

// dataPath returns the path of the data of an entry.
func (f *Folder) dataPath(in *folder.Folder, it item) (string, error) {
	name := it.Name
	if it.torrent != "" {
		m, err := readTorrent(in, it.torrent)
		if err != nil {
			return "", err
		}
		name, _ = dataName(in, m) // locate returns the error
	}
	at, _, err := locate(f.named(in, name), in.Root())
	return at, err
}
