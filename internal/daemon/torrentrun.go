package daemon

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"time"

	"spate"
	"spate/internal/schedule"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
)

// startLocked gives e to the engine, in a goroutine. That goroutine does nothing if e was stopped or
// removed before it came to its turn: the torrent could have been started or added again meanwhile.
func (t *Torrents) startLocked(ctx context.Context, e *addedTorrent) {
	ctx, cancel := context.WithCancel(ctx)
	e.phase, e.cancel = phasePreparing, cancel
	e.starts++
	start := e.starts
	t.tasks.Go(func() {
		defer cancel()
		e.op.Lock()
		t.mu.Lock()
		due := e.starts == start && !e.removed && ctx.Err() == nil
		t.mu.Unlock()
		var err error
		if due {
			err = t.prepare(ctx, e)
		}
		t.mu.Lock()
		failed := false
		if e.starts == start { // otherwise the fields are those of the next start
			e.checking, e.cancel = nil, nil
			failed = err != nil && ctx.Err() == nil && !e.removed
			if e.phase == phasePreparing { // it was not started
				e.phase = phaseIdle
			}
			if failed {
				e.err = err
			}
		}
		t.mu.Unlock()
		e.op.Unlock()
		if failed {
			t.tell("failed", e)
		}
		t.wake()
	})
}

// prepare fetches the torrent of e if it is not known, and gives it to the engine. The caller holds
// e.op.
func (t *Torrents) prepare(ctx context.Context, e *addedTorrent) error {
	t.mu.Lock()
	known := e.rec.Known
	t.mu.Unlock()
	if !known {
		if err := t.fetchMetadata(ctx, e); err != nil {
			return err
		}
	}
	select { // a check reads the whole disk
	case t.checks <- struct{}{}:
		defer func() { <-t.checks }()
	case <-ctx.Done():
		return ctx.Err()
	}
	t.mu.Lock()
	r := e.rec
	fresh := e.fresh
	t.mu.Unlock()
	mi, err := t.store.loadTorrent(&r)
	if err != nil {
		return err
	}
	if !r.Completed.IsZero() && !fresh && len(r.Select)+len(r.Files) == 0 && r.Up == 0 && r.Down == 0 {
		if dormant, err := t.seedDormant(&r); err != nil || dormant {
			if err == nil {
				t.entered(e, phaseDormant, nil)
			}
			return err
		}
		if err := t.session.Remove(r.InfoHash); err != nil { // data is missing: it is downloaded again
			return err
		}
	}
	return t.download(ctx, e, &r, mi)
}

// entered records that the engine has e.
func (t *Torrents) entered(e *addedTorrent, phase torrentPhase, d *Download) {
	e.download = d
	t.mu.Lock()
	e.phase, e.fresh, e.err = phase, false, nil
	t.mu.Unlock()
}

// torrentLoader loads the torrent of a record. It implements [torrent.Loader].
type torrentLoader struct {
	t   *Torrents
	rec torrentRecord
}

// Load implements [torrent.Loader].
func (l torrentLoader) Load() (*metainfo.MetaInfo, torrent.AddOptions, error) {
	mi, err := l.t.store.loadTorrent(&l.rec)
	return mi, torrent.AddOptions{Dir: l.rec.Dir, Within: l.rec.Within, Name: l.rec.DataName, Paths: l.rec.Paths, ResumeDir: l.t.store.dir, SeedOnly: true}, err
}

// seedDormant adds a complete torrent that is dormant while nobody asks for it. It returns false if
// the engine has found that data is missing.
func (t *Torrents) seedDormant(r *torrentRecord) (dormant bool, err error) {
	_, dormant, err = t.session.AddDormant(torrentLoader{t, *r})
	return dormant, err
}

// download checks existing data and adds a torrent that downloads what is missing. The caller holds
// e.op.
func (t *Torrents) download(ctx context.Context, e *addedTorrent, r *torrentRecord, mi *metainfo.MetaInfo) error {
	priorities, err := r.priorities(mi, r.Magnet)
	if err != nil {
		return err
	}
	if r.DataName == "" {
		name := maker.NameIn(mi, r.Dir)
		if err := t.update(e, func(r *torrentRecord) { r.DataName = name }); err != nil {
			return err
		}
		r.DataName = name
	}
	progress := func() (func(done, total int64), func()) {
		return func(done, total int64) {
			t.mu.Lock()
			e.checking = &progressOf{done, total}
			t.mu.Unlock()
		}, func() {}
	}
	up, down := schedule.Limits{Up: r.Up, Down: r.Down}.And(t.timed(r.Label).Limits).Rates()
	d, err := PrepareDownload(ctx, t.env, mi, DownloadConfig{
		State: t.claims, Dir: r.Dir, Name: r.DataName, ResumeDir: t.store.dir, Within: r.Within, Sequential: r.Sequential, Peers: r.Peers, Up: up, Down: down, Paths: r.Paths,
	}, progress)
	if err != nil {
		return err
	}
	wanted := func([]string) bool { return true }
	if skipped := filesWith(priorities, torrent.PrioritySkip); len(skipped) > 0 {
		wanted = wantedBy(mi, priorities)
	}
	if err := d.Start(t.session, wanted); err != nil {
		d.Release()
		return err
	}
	if err := applyPriorities(d.Torrent, priorities, false); err != nil {
		t.env.Log.Warn("priorities of files were not set", "name", r.Name, "err", err)
	}
	e.busy, e.began, e.asked = time.Time{}, time.Time{}, false
	t.entered(e, phaseRunning, d)
	return nil
}

// wantedBy returns a function that reports whether a file is to be downloaded.
func wantedBy(mi *metainfo.MetaInfo, priorities []torrent.Priority) func(path []string) bool {
	skip := map[string]bool{}
	for i, p := range priorities {
		if p == torrent.PrioritySkip {
			skip[filepath.Join(mi.Info.Files[i].Path...)] = true
		}
	}
	return func(path []string) bool { return !skip[filepath.Join(path...)] }
}

// filesWith returns the indexes of the files with a priority.
func filesWith(priorities []torrent.Priority, p torrent.Priority) (files []int) {
	for i, q := range priorities {
		if p == q {
			files = append(files, i)
		}
	}
	return files
}

// applyPriorities sets the priorities of the files of tor that have another than the normal one, or
// of all.
func applyPriorities(tor *torrent.Torrent, priorities []torrent.Priority, all bool) error {
	var errs []error
	for _, p := range filePriorities {
		if p == torrent.PriorityNormal && !all {
			continue
		}
		if files := filesWith(priorities, p); len(files) > 0 {
			errs = append(errs, tor.SetPriority(p, files...))
		}
	}
	return errors.Join(errs...)
}

// fetchMetadata asks peers for the torrent of e until one sends it, and records it. The caller holds
// e.op.
func (t *Torrents) fetchMetadata(ctx context.Context, e *addedTorrent) error {
	t.mu.Lock()
	r := e.rec
	t.mu.Unlock()
	link, err := metainfo.ParseMagnet(r.Magnet)
	if err != nil {
		return err
	}
	mi, peers, err := t.session.FetchMetadata(ctx, link, MetadataConfig{Arg: r.Magnet})
	if err != nil {
		return err
	}
	b, err := mi.Bytes()
	if err != nil {
		return err
	}
	return t.install(e, mi, b, peers)
}

// install records the torrent of e, which was a magnet link. The torrent can have another info-hash
// than the link, if the link has only the v2 hash of a hybrid.
func (t *Torrents) install(e *addedTorrent, mi *metainfo.MetaInfo, b []byte, peers []netip.AddrPort) error {
	ih := mi.Hash()
	t.mu.Lock()
	old := e.rec.InfoHash
	other := t.by[ih]
	t.mu.Unlock()
	if other != nil && other != e {
		return errTorrentTwice(other.rec.Name)
	}
	if err := t.store.saveTorrent(ih, b); err != nil {
		return err
	}
	err := t.update(e, func(r *torrentRecord) {
		r.InfoHash = ih
		r.describe(mi)
		if len(r.Peers) == 0 {
			r.Peers = peers
		}
	})
	if err != nil {
		return err
	}
	if old != ih {
		t.mu.Lock()
		delete(t.by, old)
		t.by[ih] = e
		t.mu.Unlock()
		if err := t.store.remove(old); err != nil {
			return err
		}
	}
	t.tell("metadata", e)
	return nil
}

// describe records what mi says about the torrent.
func (r *torrentRecord) describe(mi *metainfo.MetaInfo) {
	r.Known, r.Name, r.Length, r.Private = true, mi.Info.Name, mi.Info.DataLength(), mi.Info.Private
	r.NumFiles, r.Trackers = 0, 0
	for i := range mi.Info.Files {
		if !mi.Info.Files[i].Pad() {
			r.NumFiles++
		}
	}
	for _, tier := range mi.AnnounceList {
		r.Trackers += len(tier)
	}
}

// stop takes e out of the engine. Afterwards it is in phase to.
func (t *Torrents) stop(e *addedTorrent, to torrentPhase) error {
	t.cancelStart(e)
	e.op.Lock()
	defer e.op.Unlock()
	return t.stopHeld(e, to)
}

// cancelStart ends the preparation of e. It does not wait for its end.
func (t *Torrents) cancelStart(e *addedTorrent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.cancel != nil {
		e.cancel()
	}
}

// stopHeld is stop for a caller that holds e.op.
func (t *Torrents) stopHeld(e *addedTorrent, to torrentPhase) error {
	t.mu.Lock()
	phase, ih := e.phase, e.rec.InfoHash
	t.mu.Unlock()
	var err error
	if phase == phaseRunning || phase == phaseDormant {
		err = t.leave(e, ih)
	}
	t.mu.Lock()
	e.phase = to
	t.mu.Unlock()
	t.wake()
	return err
}

// leave removes the torrent of e from the engine, and records its counts.
func (t *Torrents) leave(e *addedTorrent, ih spate.InfoHash) error {
	var st *torrent.Stats
	if tor := t.session.Torrent(ih); tor != nil {
		s := tor.Stats()
		st = &s
	}
	err := t.session.Remove(ih)
	if errors.Is(err, torrent.ErrUnknown) {
		err = nil
	}
	if e.download != nil {
		e.download.Release()
		e.download = nil
	}
	if st != nil && st.State != torrent.StateChecking {
		completed := false
		err = cmp.Or(err, t.update(e, func(r *torrentRecord) {
			r.Length, r.Done, r.Downloaded, r.Uploaded = st.BytesTotal, st.BytesDone, st.Downloaded, st.Uploaded
			if st.State == torrent.StateSeeding && r.Completed.IsZero() { // since Run looked last
				r.Completed, completed = t.env.Now().UTC(), true
			}
		}))
		if completed && err == nil {
			t.tell("completed", e)
		}
	}
	if errors.Is(err, errRemoved) {
		err = nil
	}
	return err
}

// dataOf opens the files of a torrent that the engine does not have.
func (t *Torrents) dataOf(r *torrentRecord, mi *metainfo.MetaInfo, dir string) (*storage.Dir, error) {
	within := r.Within
	if dir != r.Dir {
		within = ""
	}
	skip, err := r.skipped(mi, r.Magnet)
	if err != nil {
		return nil, err
	}
	return storage.OpenDir(dir, &mi.Info, storage.NewPool(minDescriptors), storage.DirOptions{Within: within, Name: r.DataName, Skip: skip, OtherPaths: mi.OtherPaths(true), Paths: r.Paths})
}

// minDescriptors is the number of files that an operation on the data of one torrent may open.
const minDescriptors = 16
