package storage

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"spate/internal/atomicfile"
	"spate/internal/filestat"
	"spate/internal/folder"
)

// markDirty records that file i must be synced.
func (d *Dir) markDirty(i int) {
	if !d.unsynced.has(i) && d.unsynced.set(i) {
		d.mu.Lock()
		d.dirty = append(d.dirty, i)
		d.mu.Unlock()
	}
}

// Unsynced records that data in a range may not be on disk although this process did not
// write it, so that the next Sync covers it. For example, another process may have been
// killed after writing, and its data is only in the page cache.
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
		if errors.Is(err, ErrMissing) && d.skip.has(i) {
			i = len(d.layout.files)
			h, err = d.acquire(i, false)
		}
		if err == nil {
			h.release()
			d.markDirty(i)
		}
	}
}

// noteDir records that names were created in a directory, so that it must be synced.
func (d *Dir) noteDir(dir string) {
	d.mu.Lock()
	d.dirs[dir] = true
	d.mu.Unlock()
}

// noteDirs records a directory and all directories above it.
func (d *Dir) noteDirs(dir string) {
	for ; dir != "."; dir = path.Dir(dir) {
		d.noteDir(dir)
	}
	d.noteDir(".")
}

// Sync implements [Storage]. It syncs the files written since the last Sync and the
// directories with new names. The error joins one [*Error] for each file that failed; the
// next Sync tries these files again. After a failure Sync drops the file from the page
// cache, so that reads return the data on disk.
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

// manyFiles is the minimum number of files for which Sync syncs the whole file system. With
// fewer files it syncs each file, which waits for the disk or its journal each time.
const manyFiles = 512

// watchErrors opens the top directory before the first write to a torrent with many
// files. syncfs(2) then reports all write errors that occur after this call.
func (d *Dir) watchErrors(root *os.Root) {
	if !canSyncFS || d.states.n < manyFiles {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watched == nil && !d.closed.Load() {
		d.watched, _ = root.Open(".") // if this fails, each file is synced separately
	}
}

// syncMany syncs many files by syncing their file system. It returns the files that must be
// synced separately: those that are on another file system, those that have changed, or all
// of them if the sync failed, to find the file with the error.
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
		d.file(i).writing.Add(1) // until expected is updated
		d.unsynced.clear(i)
	}
	defer func() {
		for _, i := range files {
			d.file(i).writing.Add(-1)
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
		if now == nil || !now.Mode().IsRegular() || filestat.Device(now) != filestat.Device(on) || !d.isExpected(i, StatOf(now)) {
			rest = append(rest, i)
			continue
		}
		d.synced(i, now)
	}
	return rest
}

// synced records now as the expected state of file i.
func (d *Dir) synced(i int, now fs.FileInfo) {
	st := d.file(i)
	st.slot.mu.Lock()
	defer st.slot.mu.Unlock()
	st.setExpected(StatOf(now), d.location.Load())
}

// syncFile syncs one file and records its state as expected.
func (d *Dir) syncFile(i int) error {
	st := d.file(i)
	st.writing.Add(1) // until expected is updated
	defer st.writing.Add(-1)
	h, err := d.acquire(i, true)
	if err != nil {
		d.unsynced.clear(i)
		if d.skip.has(i) && errors.Is(err, ErrMissing) {
			return nil // it was created and could not get its length
		}
		d.markDirty(i)
		return err
	}
	d.unsynced.clear(i)
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
		if i == len(d.layout.files) {
			d.index.forget() // the disk may not have all entries
		}
		return d.fail("sync", i, classify(err, true), err)
	}
	if want := d.length(i); want >= 0 && now.Size() != want {
		d.markDirty(i)
		return d.changed("sync", i, FileStat{}, StatOf(now))
	}
	d.synced(i, now)
	return nil
}

func (d *Dir) syncDir(dir string) error {
	return d.withRoot("sync", func(root *os.Root) error {
		f, err := folder.OpenDir(root, dir)
		if err == nil {
			err = atomicfile.SyncOpenDir(f)
			f.Close()
		}
		if err != nil {
			where := filepath.Join(d.location.Load().root.path, filepath.FromSlash(dir))
			return &Error{Op: "sync", Path: where, File: -1, Reason: classify(err, true), Err: err}
		}
		return nil
	})
}
