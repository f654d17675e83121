package storage

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"spate/internal/folder"
)

// markDirty notes that a file has to be synced.
func (d *Dir) markDirty(i int) {
	if st := &d.files[i]; !st.dirty.Load() && st.dirty.CompareAndSwap(false, true) {
		d.mu.Lock()
		d.dirty = append(d.dirty, i)
		d.mu.Unlock()
	}
}

// Unsynced says that bytes which this process did not write may not have reached
// the disk: the next Sync covers them too. What another process left, which was
// killed, may be in memory alone.
func (d *Dir) Unsynced(off, n int64) {
	if d.opts.ReadOnly {
		return
	}
	for e := range d.layout.Extents(off, n) {
		if e.Pad {
			continue
		}
		i := e.File
		h, err := d.acquire(i, false)
		if errors.Is(err, ErrMissing) && d.files[i].skip.Load() {
			i = len(d.layout.files)
			h, err = d.acquire(i, false)
		}
		if err == nil {
			h.release()
			d.markDirty(i)
		}
	}
}

// noteDir notes that names were made in a directory.
func (d *Dir) noteDir(dir string) {
	d.mu.Lock()
	d.dirs[dir] = true
	d.mu.Unlock()
}

// noteDirs notes a directory and all above it.
func (d *Dir) noteDirs(dir string) {
	for ; dir != "."; dir = path.Dir(dir) {
		d.noteDir(dir)
	}
	d.noteDir(".")
}

// Sync implements [Storage]: it syncs the files written since the last Sync,
// and the directories in which names were made. The error joins one [*Error]
// for each file that failed; those are tried again by the next Sync. What the
// system holds in memory of a file that it failed to write is dropped, so that
// reading tells what is on the disk.
func (d *Dir) Sync() error {
	d.mu.Lock()
	files, dirs := d.dirty, d.dirs
	d.dirty, d.dirs = nil, map[string]bool{}
	d.mu.Unlock()
	if len(files) >= manyFiles && canSyncFS {
		files = d.syncMany(files)
	}
	var errs []error
	for _, i := range files {
		if err := d.syncFile(i); err != nil {
			errs = append(errs, err)
		}
	}
	for dir := range dirs {
		if err := d.syncDir(dir); err != nil {
			d.noteDir(dir)
			errs = append(errs, err)
		}
	}
	return joined(errs)
}

// manyFiles is from how many files on the whole file system is synced, in place of
// each of them: a sync of each waits for the disk to turn, or for its journal, so often.
const manyFiles = 512

// watchErrors keeps the top directory open from before the first write to one of many
// files on: syncfs(2) tells what failed to be written since its descriptor was opened,
// or that nobody was told of.
func (d *Dir) watchErrors(root *os.Root) {
	if !canSyncFS || len(d.files) < manyFiles {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watched == nil && !d.closed.Load() {
		d.watched, _ = root.Open(".") // without it each file is synced by itself
	}
}

// syncMany syncs many files at once, by the file system that they are on, and returns
// those for which that did not do, or whose error, if any, has to be found.
func (d *Dir) syncMany(files []int) (rest []int) {
	d.syncing.Lock()
	defer d.syncing.Unlock()
	d.mu.Lock()
	top := d.watched
	d.mu.Unlock()
	if top == nil {
		return files
	}
	for _, i := range files {
		d.files[i].writing.Add(1) // until base is right again
		d.files[i].dirty.Store(false)
	}
	defer func() {
		for _, i := range files {
			d.files[i].writing.Add(-1)
		}
	}()
	on, err := top.Stat()
	if err != nil || syncFS(top) != nil {
		return files
	}
	all := make(map[int]fs.FileInfo, len(files))
	d.eachStat(files, func(p *parents, i int) error {
		if fi, err := p.stat(d.name(i), false); err == nil {
			all[i] = fi
		}
		return nil
	})
	for _, i := range files {
		now := all[i]
		if now == nil || !now.Mode().IsRegular() || device(now) != device(on) || !d.isBase(i, statOf(now)) {
			rest = append(rest, i)
			continue
		}
		d.synced(i, now)
	}
	return rest
}

// synced takes what a file is as what it should be.
func (d *Dir) synced(i int, now fs.FileInfo) {
	st := &d.files[i]
	st.slot.mu.Lock()
	defer st.slot.mu.Unlock()
	st.setBase(statOf(now), d.place.Load())
}

// syncFile syncs one file and takes what it is then as what it should be.
func (d *Dir) syncFile(i int) error {
	st := &d.files[i]
	st.writing.Add(1) // until base is right again
	defer st.writing.Add(-1)
	h, err := d.acquire(i, true)
	if err != nil {
		st.dirty.Store(false)
		d.markDirty(i)
		return err
	}
	st.dirty.Store(false)
	if err = h.file.Sync(); err != nil {
		dropCache(h.file)
	}
	var now fs.FileInfo
	if err == nil {
		now, err = h.file.Stat()
	}
	h.release()
	if err != nil {
		d.markDirty(i)
		return d.fail("sync", i, classify(err, true), err)
	}
	d.synced(i, now)
	return nil
}

func (d *Dir) syncDir(dir string) error {
	return d.withRoot("sync", func(root *os.Root) error {
		f, err := folder.OpenDir(root, dir)
		if err == nil {
			err = syncDir(f)
			f.Close()
		}
		if err != nil {
			where := filepath.Join(d.place.Load().root.path, filepath.FromSlash(dir))
			return &Error{Op: "sync", Path: where, File: -1, Reason: classify(err, true), Err: err}
		}
		return nil
	})
}
