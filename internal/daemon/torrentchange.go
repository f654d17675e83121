package daemon

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"spate/internal/fault"
	"spate/internal/schedule"
	"spate/storage"
	"spate/torrent"
)

// TorrentChange is a change of an added torrent. A nil field stays as it is.
type TorrentChange struct {
	Paused     *bool      `json:"paused,omitempty"`
	Label      *string    `json:"label,omitempty"`
	Select     *[]string  `json:"select,omitempty"`
	Files      []FileRule `json:"files,omitempty"` // added to those that exist; rules with the same pattern are replaced
	Sequential *bool      `json:"sequential,omitempty"`
	Up         *int64     `json:"up,omitempty"`
	Down       *int64     `json:"down,omitempty"`
	Ratio      *float64   `json:"ratio,omitempty"`
	SeedTime   *int64     `json:"seed_time,omitempty"`
	SeedIdle   *int64     `json:"seed_idle,omitempty"`
	NoSeed     *bool      `json:"no_seed,omitempty"`
	Place      *int       `json:"place,omitempty"` // position in the queue, from 0
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// apply changes the options o.
func (c *TorrentChange) apply(o *TorrentOptions) {
	set(&o.Label, c.Label)
	set(&o.Select, c.Select)
	set(&o.Sequential, c.Sequential)
	set(&o.Up, c.Up)
	set(&o.Down, c.Down)
	set(&o.Ratio, c.Ratio)
	set(&o.SeedTime, c.SeedTime)
	set(&o.SeedIdle, c.SeedIdle)
	set(&o.NoSeed, c.NoSeed)
	o.addRules(c.Files)
}

// Change changes the torrent that ref names. Resuming a torrent that has failed or has reached a
// goal starts it again.
func (t *Torrents) Change(ctx context.Context, ref string, c TorrentChange) error {
	e, err := t.find(ref)
	if err != nil {
		return err
	}
	t.mu.Lock()
	before := e.rec
	options := before.TorrentOptions
	t.mu.Unlock()
	c.apply(&options)
	if err := options.Check(); err != nil {
		return err
	}
	if err := t.checkFiles(&before, &options, &c); err != nil {
		return err
	}
	err = t.update(e, func(r *torrentRecord) {
		c.apply(&r.TorrentOptions)
		set(&r.Paused, c.Paused)
		if c.Paused != nil && !*c.Paused || c.Ratio != nil || c.SeedTime != nil || c.SeedIdle != nil || c.NoSeed != nil {
			r.Finished = false
		}
		if c.Paused != nil && !*c.Paused && before.Finished { // the user wants it to seed although the goal is reached
			r.Ratio, r.SeedTime, r.SeedIdle, r.NoSeed = 0, 0, 0, false
			c.apply(&r.TorrentOptions)
		}
	})
	if err != nil {
		return err
	}
	if c.Place != nil {
		if err := t.place(e, *c.Place); err != nil {
			return err
		}
	}
	return t.applyChange(e, &c)
}

// checkFiles returns an error if the selection of files in a change matches none.
func (t *Torrents) checkFiles(r *torrentRecord, o *TorrentOptions, c *TorrentChange) error {
	if !r.Known || c.Select == nil && c.Files == nil {
		return nil
	}
	mi, err := t.store.loadTorrent(r)
	if err != nil {
		return err
	}
	_, err = o.priorities(mi, r.Magnet)
	return err
}

// applyChange makes a torrent run as its changed record says.
func (t *Torrents) applyChange(e *addedTorrent, c *TorrentChange) error {
	switch {
	case c.Paused != nil && *c.Paused:
		if err := t.stop(e, phaseIdle); err != nil {
			return err
		}
		t.tell("paused", e)
		return nil
	case c.Paused != nil:
		t.mu.Lock()
		e.err = nil
		t.mu.Unlock()
		t.tell("resumed", e)
	}
	t.wake()
	e.op.Lock()
	defer e.op.Unlock()
	t.mu.Lock()
	r, phase := e.rec, e.phase
	t.mu.Unlock()
	if phase == phaseDormant && (c.Up != nil || c.Down != nil || c.Files != nil || c.Select != nil) {
		return t.stopHeld(e, phaseQueued) // Run starts it as a torrent that has limits
	}
	if phase != phaseRunning {
		return nil
	}
	tor := t.session.Torrent(r.InfoHash)
	if tor == nil {
		return nil
	}
	if t.timed(r.Label).Limits == (schedule.Limits{}) { // otherwise Run sets them
		tor.SetRates(r.Up, r.Down)
	}
	tor.SetSequential(r.Sequential)
	if c.Files == nil && c.Select == nil {
		return nil
	}
	priorities, err := r.priorities(tor.MetaInfo(), r.Magnet)
	if err != nil {
		return err
	}
	return applyPriorities(tor, priorities, true)
}

// place moves e to a position in the queue.
func (t *Torrents) place(e *addedTorrent, at int) error {
	if at < 0 {
		return fault.Usagef("the position in the queue is negative")
	}
	t.placing.Lock()
	defer t.placing.Unlock()
	t.mu.Lock()
	order := slices.DeleteFunc(slices.Clone(t.order), func(o *addedTorrent) bool { return o == e })
	order = slices.Insert(order, min(at, len(order)), e)
	// Only e and those after it that would have the same place or an earlier one get a new place.
	type change struct {
		e     *addedTorrent
		place int
	}
	var changes []change
	last := -1
	for _, o := range order {
		place := o.rec.Place
		if o == e || place <= last {
			place = last + 1
		}
		if place != o.rec.Place {
			changes = append(changes, change{o, place})
		}
		last = place
	}
	t.mu.Unlock()
	// The last one first: if the process is killed meanwhile, no torrent overtakes another.
	var err error
	for _, c := range slices.Backward(changes) {
		err = t.update(c.e, func(r *torrentRecord) { r.Place = c.place })
		if err != nil && !errors.Is(err, errRemoved) {
			break
		}
		err = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.order = slices.Clone(t.order)
	slices.SortStableFunc(t.order, func(a, b *addedTorrent) int { return a.rec.Place - b.rec.Place })
	return err
}

// Remove removes the torrent that ref names, and its data if data is set. It deletes only files of
// the torrent, and none if the torrent never ran, because the files are then not its own.
func (t *Torrents) Remove(ctx context.Context, ref string, data bool) error {
	e, err := t.find(ref)
	if err != nil {
		return err
	}
	t.cancelStart(e)
	e.op.Lock()
	defer e.op.Unlock()
	if data {
		if err := t.update(e, func(r *torrentRecord) { r.Remove = "data" }); err != nil {
			return err
		}
	}
	if err := t.stopHeld(e, phaseIdle); err != nil {
		return err
	}
	if err := t.removeHeld(e); err != nil {
		t.mu.Lock()
		e.err = err
		t.mu.Unlock()
		return err
	}
	t.mu.Lock()
	i := t.infoLocked(e)
	t.mu.Unlock()
	t.event("removed", &i)
	return nil
}

// removeHeld deletes the data of e if its record says so, and then the record. The caller holds e.op.
func (t *Torrents) removeHeld(e *addedTorrent) error {
	t.mu.Lock()
	r := e.rec
	t.mu.Unlock()
	if r.Remove == "data" {
		if err := t.deleteData(&r); err != nil {
			return err
		}
	}
	e.saving.Lock()
	defer e.saving.Unlock()
	t.mu.Lock()
	removed := e.removed
	t.mu.Unlock()
	if removed {
		return nil
	}
	if err := t.store.remove(r.InfoHash); err != nil {
		return err
	}
	err := storage.RemoveResume(t.store.dir, r.InfoHash) // before another request may add the torrent again
	t.mu.Lock()
	defer t.mu.Unlock()
	e.removed = true
	delete(t.by, r.InfoHash)
	t.order = slices.DeleteFunc(slices.Clone(t.order), func(o *addedTorrent) bool { return o == e })
	return err
}

// deleteData deletes the files of a torrent that the engine does not have.
func (t *Torrents) deleteData(r *torrentRecord) error {
	if !r.Known || r.DataName == "" {
		return nil
	}
	rec, err := storage.LoadResume(t.store.dir, r.InfoHash)
	if err != nil || rec.Dir != r.Dir {
		return nil // the engine has never had the data
	}
	mi, err := t.store.loadTorrent(r)
	if err != nil {
		return err
	}
	files, err := t.dataOf(r, mi, r.Dir)
	if err != nil {
		return err
	}
	return TransferError(files.Remove())
}

// Recheck checks all data of the torrent that ref names again. It returns once the check has begun.
func (t *Torrents) Recheck(ctx context.Context, ref string) error {
	e, err := t.find(ref)
	if err != nil {
		return err
	}
	t.cancelStart(e)
	e.op.Lock()
	defer e.op.Unlock()
	if err := t.stopHeld(e, phaseQueued); err != nil {
		return err
	}
	t.mu.Lock()
	r := e.rec
	t.mu.Unlock()
	rec, err := storage.LoadResume(t.store.dir, r.InfoHash)
	if err == nil {
		for i := range rec.Files { // as if all files had been changed
			rec.Files[i] = storage.FileStat{Exists: rec.Files[i].Exists}
		}
		for i := range rec.Have.Ones() {
			rec.Have.Clear(i)
		}
		rec.Clean = false
		err = storage.SaveResume(t.store.dir, rec)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.update(e, func(r *torrentRecord) { r.Done = 0 }); err != nil {
		return err
	}
	t.mu.Lock()
	e.fresh, e.err = true, nil
	t.mu.Unlock()
	t.wake()
	return nil
}

// Reannounce announces the torrent that ref names to its trackers again, as soon as they allow it.
// A torrent that does not run is an error.
func (t *Torrents) Reannounce(ctx context.Context, ref string) error {
	e, err := t.find(ref)
	if err != nil {
		return err
	}
	t.mu.Lock()
	ih, phase, name := e.rec.InfoHash, e.phase, e.rec.Name
	t.mu.Unlock()
	tor := t.session.Torrent(ih)
	if tor == nil && phase != phaseDormant {
		return fault.New(fault.Exists, "spate resume starts it", "%s does not run", name)
	}
	if tor != nil { // a dormant torrent is announced in its turn
		tor.AnnounceAgain()
	}
	return nil
}

// Engine returns the torrent of the engine that ref names, or nil if it does not run or is dormant.
func (t *Torrents) Engine(ref string) (*torrent.Torrent, error) {
	e, err := t.find(ref)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	ih := e.rec.InfoHash
	t.mu.Unlock()
	return t.session.Torrent(ih), nil
}
