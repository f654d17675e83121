package storage

import (
	"context"
	"errors"
	"hash/maphash"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"spate/internal/atomicfile"
)

// Remove implements [Remover]: it deletes the files and links of the torrent and the
// directories that are then empty, and closes d. It keeps other files in these directories,
// and any entry at the path of a file that is not a regular file. The error joins one
// [*Error] for each file that could not be deleted.
func (d *Dir) Remove() error {
	if d.opts.ReadOnly {
		return d.fail("remove", -1, ErrReadOnly, nil)
	}
	d.dropAll()
	errs := []error{d.removeFiles()}
	return errors.Join(append(errs, d.Close())...)
}

// dropAll closes all files. Files in use are closed after their use.
func (d *Dir) dropAll() {
	for st := range d.states.used() {
		st.slot.drop()
	}
}

func (d *Dir) removeFiles() error {
	var errs []error
	dirs := map[string]bool{}
	for i := range d.states.n {
		if i < len(d.layout.files) && d.layout.isPad(i) {
			continue
		}
		for p := path.Dir(d.name(i)); p != "." && !dirs[p]; p = path.Dir(p) {
			dirs[p] = true
		}
		if err := d.withRoot("remove", func(root *os.Root) error { return d.removeFile(root, i) }); err != nil {
			errs = append(errs, err)
		}
	}
	// Sort the longest paths first, so that the directories inside a directory come before
	// it.
	order := make([]string, 0, len(dirs))
	for p := range dirs {
		order = append(order, p)
	}
	slices.SortFunc(order, func(a, b string) int { return len(b) - len(a) })
	err := d.withRoot("remove", func(root *os.Root) error {
		for _, p := range order {
			if fi, err := root.Lstat(p); err == nil && fi.IsDir() {
				_ = root.Remove(p) // fails if the directory is not empty
			}
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}

func (d *Dir) removeFile(root *os.Root, i int) error {
	name := d.name(i)
	fi, err := root.Lstat(name)
	isLink := i < len(d.layout.files) && d.isLink(i)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && (fi.Mode().IsRegular() && !isLink || fi.Mode()&fs.ModeSymlink != 0 && isLink):
		if _, err = d.checkDirs(root, i); err == nil {
			err = root.Remove(name)
		}
	}
	if err != nil {
		return d.fail("remove", i, classify(err, true), err)
	}
	return nil
}

// MoveTo implements [Mover]: it moves the files to directory dir, which must exist. If name
// is not empty, it replaces the name of the file or top directory. The new path must not
// exist. On the same file system MoveTo renames the file or top directory, including other
// files in it. Otherwise it copies and syncs the files of the torrent, reads the copies again
// and compares them, and then deletes the old ones. Reads may continue meanwhile, writes must
// not. If MoveTo fails or ctx is done, the data stays where it was; if only the old files could
// not be deleted, the data is at the new path, and the error says so.
func (d *Dir) MoveTo(ctx context.Context, dir, name string) error {
	from := d.location.Load()
	if name == "" {
		name = from.top
	}
	if err := checkPath(name); err != nil || topOf(name) != name {
		return d.fail("move", -1, ErrObstructed, errors.New("invalid file name"))
	}
	if d.opts.ReadOnly {
		return d.fail("move", -1, ErrReadOnly, nil)
	}
	root, err := d.pool.use(dir, "", name, true)
	if err != nil {
		return err
	}
	to := &location{root: root, top: name, parts: partsName(name), copies: from.copies}
	err = d.move(ctx, from, to)
	unused := from
	if d.location.Load() == from {
		unused = to
	}
	d.pool.unuse(unused.root, unused.top)
	return err
}

func (d *Dir) move(ctx context.Context, from, to *location) error {
	if _, err := os.Lstat(to.path()); !errors.Is(err, fs.ErrNotExist) {
		return &Error{Op: "move to", Path: to.path(), File: -1, Reason: ErrObstructed, Err: err}
	}
	if err := d.Sync(); err != nil {
		return err
	}
	if err := d.rename(from, to); err == nil {
		d.acceptRenamed()
		return d.syncRename(from, to)
	} else if !isCrossDevice(err) {
		return d.fail("move", -1, classify(err, true), err)
	}
	skip := make([]bool, len(d.layout.files))
	for i := range skip {
		skip[i] = !d.Wanted(i)
	}
	fresh, err := OpenLayout(to.root.path, d.layout, NewPool(minPool), DirOptions{Name: to.top, Skip: skip})
	if err != nil {
		return err
	}
	defer fresh.Close()
	fresh.other = d.other
	if err := d.copyTo(ctx, fresh); err != nil {
		return errors.Join(err, fresh.Remove())
	}
	old := &Dir{layout: d.layout, pool: d.pool, other: d.other, states: newFileStates(d.states.n), skip: newFileSet(d.states.n), dirs: map[string]bool{}}
	old.location.Store(from)
	to.copies++
	d.moving.Lock()
	d.location.Store(to)
	d.moving.Unlock()
	d.dropAll()
	return errors.Join(d.Accept(), old.removeFiles())
}

// rename moves the top entry and the parts file. Either may be missing.
func (d *Dir) rename(from, to *location) error {
	d.dropAll() // some systems cannot rename open files
	d.moving.Lock()
	defer d.moving.Unlock()
	if err := os.Rename(from.path(), to.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parts := d.name(len(d.layout.files))
	d.location.Store(to)
	err := os.Rename(filepath.Join(from.root.path, parts), filepath.Join(to.root.path, d.name(len(d.layout.files))))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.location.Store(from)
		return errors.Join(err, os.Rename(to.path(), from.path()))
	}
	return nil
}

// acceptRenamed accepts the new change time of a file that was renamed, and of the parts file.
func (d *Dir) acceptRenamed() {
	for i := range d.states.n {
		if i < len(d.layout.files) && (d.layout.isPad(i) || len(d.layout.below(i)) > 0) {
			continue // a directory was renamed
		}
		now, err := d.stat(i)
		st := d.file(i)
		st.slot.mu.Lock()
		if err == nil && st.expected.sameFile(now) && st.expected.Touched(now) {
			st.expected.Change = now.Change
		}
		st.slot.mu.Unlock()
	}
}

// syncRename makes a rename durable.
func (d *Dir) syncRename(from, to *location) error {
	d.dropAll() // readers may have opened files in the meantime
	var errs []error
	for _, r := range []*rootDir{from.root, to.root} {
		h, err := d.pool.root(r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f, err := h.root.Open(".")
		if err == nil {
			err = errors.Join(atomicfile.SyncOpenDir(f), f.Close())
		}
		h.release()
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return d.fail("sync", -1, classify(err, true), err)
	}
	return nil
}

// copyTo copies all files to another Dir, without their holes, and syncs it.
func (d *Dir) copyTo(ctx context.Context, to *Dir) error {
	buf := make([]byte, 1<<20)
	parts := copied{seed: maphash.MakeSeed()}
	for i := range d.states.n {
		if i < len(d.layout.files) && !d.stored(i) {
			continue
		}
		if err := d.copyFile(ctx, to, i, buf, &parts); err != nil {
			return err
		}
	}
	if err := to.Prepare(); err != nil { // creates the files of length zero
		return err
	}
	if err := to.Finish(); err != nil {
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	return parts.check(ctx, to, buf)
}

// copyFile copies file i. The error wraps [ErrChanged] if another program changes the file meanwhile.
func (d *Dir) copyFile(ctx context.Context, to *Dir, i int, buf []byte, parts *copied) error {
	h, err := d.acquire(i, false)
	if errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.release()
	fi, err := h.file.Stat()
	if err != nil {
		return d.fail("move", i, classify(err, false), err)
	}
	for off := int64(0); off < fi.Size(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, ok := nextData(h.file, off)
		if !ok {
			break
		}
		n, err := h.file.ReadAt(buf, at)
		if n == 0 {
			if err == nil || isEOF(err) {
				break
			}
			return d.fail("read", i, classify(err, false), err)
		}
		to.skip.clear(i) // the file exists, so its copy must not be stored in the parts file
		if _, err := to.writeFile(i, buf[:n], at); err != nil {
			return err
		}
		parts.add(i, at, buf[:n])
		off = at + int64(n)
	}
	after, err := h.file.Stat()
	if err != nil {
		return d.fail("move", i, classify(err, false), err)
	}
	if was, now := StatOf(fi), StatOf(after); !was.Same(now) || !d.isExpected(i, now) {
		return d.changed("move", i, was, now)
	}
	return to.setTime(i, fi.ModTime())
}

// setTime sets the modification time of file i.
func (d *Dir) setTime(i int, t time.Time) error {
	return d.withRoot("move", func(root *os.Root) error {
		err := root.Chtimes(d.name(i), t, t)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d.fail("move", i, classify(err, true), err)
		}
		return nil
	})
}
