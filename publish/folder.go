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
	"sync"
	"syscall"
	"time"

	"spate/internal/folder"
	"spate/internal/watch"
	"spate/maker"
)

// FolderOptions say how a [Folder] publishes. The zero value will do.
type FolderOptions struct {
	Spec  Spec // of every release; what is of one only does not count
	Group string
	// Older is how many versions before the newest stay reachable, where their
	// data can be kept. 0: none.
	Older int
	// FollowLinks follows links that lead out of the folder.
	FollowLinks bool
	// Settle is the time for which an entry must not change before it counts as
	// complete. 0: three seconds.
	Settle time.Duration
	// Rescan is the time after which the folder is read again although the system
	// reported no change. 0: 30 seconds.
	Rescan time.Duration
	// Told is called after a release is listed or withdrawn; nil: nothing is.
	Told func(what string, r *Release)
	Log  *slog.Logger // nil: nowhere
}

// Folder makes a release of everything that is complete in a directory, and takes
// it back when it is removed; what changes becomes another version. A file NAME.md
// beside NAME is its notes. Beside a .torrent file lies its data, which is seeded
// as that torrent, and not published on its own.
//
// Somebody else may write to the directory: nothing outside it is read, unless
// links that lead there are to be followed.
type Folder struct {
	dir  string
	pub  *Publisher
	opt  FolderOptions
	turn *sync.Mutex // held while one of several folders hashes

	watcher *watch.Folder // belongs to Run

	mu      sync.Mutex
	scan    watch.Scan
	fresh   chan struct{} // holds one when scan is new
	refused map[string]refusal
	ignored map[string]string // links, pipes and notes that are not read, and why
	entries int
	waiting int

	// These belong to step.
	torrents map[string]torrentFile
	empty    bool // it was said that the folder is empty
}

// refusal is why an entry could not be published, as long as it is the same.
type refusal struct {
	stamp, why string
	again      time.Time // when to try again though it is; zero: not
}

// retryAfter is when to try again what failed for a reason that may pass.
const retryAfter = time.Minute

// FolderStatus is what a folder does.
type FolderStatus struct {
	Dir, Group string
	Entries    int               // published from it
	Waiting    int               // still being written, or in line
	Err        error             // why it cannot be read, or nil
	Refused    map[string]string // entries that cannot be published, notes that cannot be read, and why
}

// NewFolder returns what publishes the directory dir. Folders that are given the
// same turn hash one after the other.
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
	if opt.Told == nil {
		opt.Told = func(string, *Release) {}
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

// Status returns what the folder does.
func (f *Folder) Status() FolderStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := FolderStatus{Dir: f.dir, Group: f.opt.Group, Entries: f.entries, Waiting: f.waiting, Err: f.scan.Err, Refused: map[string]string{}}
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

// Run watches the directory and keeps the releases in agreement with it until ctx ends,
// whose cause it returns.
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

// step withdraws everything that is gone and publishes at most one entry. It reports
// whether there is more to do.
func (f *Folder) step(ctx context.Context) bool {
	f.mu.Lock()
	scan := f.scan
	f.mu.Unlock()
	if scan.Err != nil {
		return false // nothing is known
	}
	in, err := f.open()
	var pl *plan
	if err == nil {
		defer in.Close()
		pl, err = f.plan(ctx, in, scan)
	}
	if err != nil {
		f.opt.Log.Error("publish: a watched folder cannot be brought up to date", "folder", f.dir, "err", err)
		return false
	}
	f.ignore(pl.ignored)
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
	f.one(ctx, in, pl.publish[0])
	return true
}

// ignore takes what is left out of the folder now, and logs what is new of it.
func (f *Folder) ignore(now map[string]error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ignored := map[string]string{}
	for name, err := range now {
		if ignored[name] = err.Error(); f.ignored[name] != ignored[name] {
			f.opt.Log.Warn("publish: something in a watched folder is left out", "path", filepath.Join(f.dir, name), "err", err)
		}
	}
	f.ignored = ignored
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

// one publishes an entry of the folder, which is open as in.
func (f *Folder) one(ctx context.Context, in *folder.Folder, it item) {
	path := filepath.Join(f.dir, it.Name)
	spec := f.opt.Spec
	spec.Group, spec.Watched, spec.Stamp = f.opt.Group, path, it.Stamp
	spec.Keep, spec.Newer = f.opt.Older > 0, it.old != nil
	skipped := spec.Skipped
	spec.Skipped = func(s maker.Skipped) {
		if s.Reason == maker.SkipOutside {
			f.opt.Log.Warn("publish: a link is left out of a release", "path", filepath.Join(path, filepath.FromSlash(s.Path)), "why", s.Reason)
		} else if skipped != nil {
			skipped(s)
		}
	}
	if it.torrent == "" {
		spec.Notes, _ = readNotes(in, it.Name+".md") // the plan tells what is wrong with them
	}
	if it.old != nil {
		spec.Slug, spec.Variant = it.old.Slug, it.old.Variant
	}
	r, err := f.make(ctx, in, it, spec)
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
func (f *Folder) make(ctx context.Context, in *folder.Folder, it item, spec Spec) (*Release, error) {
	spec.Root = in.Root()
	if it.torrent == "" {
		return f.pub.Publish(ctx, f.named(in, it.Name), spec)
	}
	m, err := readTorrent(in, it.torrent)
	if err != nil {
		return nil, err
	}
	switch _, err := in.Stat(m.Info.Name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("its data %q is not beside it", m.Info.Name)
	case err != nil:
		return nil, fmt.Errorf("its data cannot be seeded: %w", err)
	}
	return f.pub.Adopt(ctx, m, f.named(in, m.Info.Name), spec)
}

// named is the path by which a publisher is told of an entry: one in the open
// directory, if that holds what is in it.
func (f *Folder) named(in *folder.Folder, name string) string {
	if in.Root() != nil {
		return name
	}
	return in.Path(name)
}

// dataPath is where the data of an entry lies.
func (f *Folder) dataPath(in *folder.Folder, it item) (string, error) {
	name := it.Name
	if it.torrent != "" {
		m, err := readTorrent(in, it.torrent)
		if err != nil {
			return "", err
		}
		name = m.Info.Name
	}
	at, _, err := locate(f.named(in, name), in.Root())
	return at, err
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
