package storage

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Stats returns what there is of each file of the layout, in its order. Padding
// and symbolic links have no entry of their own: theirs is the zero value. It
// costs a system call or two for each file.
func (d *Dir) Stats() ([]FileStat, error) {
	stats := make([]FileStat, len(d.files))
	for i := range d.files {
		if !d.stored(i) {
			continue
		}
		var err error
		if stats[i], err = d.stat(i); err != nil {
			return nil, err
		}
	}
	return stats, nil
}

// stored reports whether file i is one on the disk.
func (d *Dir) stored(i int) bool {
	f := &d.layout.files[i]
	return !f.Pad && f.Link == ""
}

// Accept takes what the files are now as what they should be: after a check of
// the data, or after a look at the Stats that a Record kept. Before the first
// Accept each file is accepted as it is found when it is first used.
func (d *Dir) Accept() error {
	stats, err := d.Stats()
	if err != nil {
		return err
	}
	for i := range d.files {
		if !d.stored(i) {
			continue
		}
		st := &d.files[i]
		st.slot.mu.Lock()
		if st.known && !st.base.samePlace(stats[i]) {
			st.slot.dropLocked() // another file is there now
		}
		st.base, st.known = stats[i], true
		st.slot.mu.Unlock()
	}
	return nil
}

// Check looks whether the files in a range of the byte space are still what
// they should be: there, with the size, the time and the inode that they had
// when they were last accepted or synced. The error joins an [*Error] for each
// that is not, with [ErrMissing] or [ErrChanged] as the reason, and one for the
// whole directory when that is gone. It reads no data.
func (d *Dir) Check(off, n int64) error {
	if err := d.checkRoot(); err != nil {
		return err
	}
	var errs []error
	for e := range d.layout.Extents(off, n) {
		if e.Pad {
			continue
		}
		if err := d.checkFile(e.File); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// checkRoot looks whether the directory is still the one it was.
func (d *Dir) checkRoot() error {
	id, err := os.Stat(d.root.path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return d.fail("check", -1, classify(err, false), err)
	case err != nil || !os.SameFile(id, d.root.id):
		return d.fail("check", -1, ErrMissing, errMoved)
	}
	return nil
}

func (d *Dir) checkFile(i int) error {
	st := &d.files[i]
	// A write may land, or a Sync end, between the look at the file and the look
	// at what it should be: look twice before saying so.
	for try := 0; ; try++ {
		now, err := d.stat(i)
		if err != nil {
			return err
		}
		st.slot.mu.Lock()
		if !st.known {
			st.base, st.known = now, true
		}
		ok := st.compare(now)
		if !ok && try > 0 {
			st.slot.dropLocked() // let the next read see what is there
		}
		st.slot.mu.Unlock()
		switch {
		case ok:
			return nil
		case try == 0:
		case !now.Exists:
			return d.fail("check", i, ErrMissing, nil)
		default:
			return d.fail("check", i, ErrChanged, nil)
		}
	}
}

// HasData reports whether anything may be stored in n bytes from off. False
// means that no byte of the range, padding aside, was ever written: the files
// are not there, or too short, or have a hole where it lies, which reads as
// zeros. On systems that cannot tell holes, what lies inside a file counts as
// stored.
func (d *Dir) HasData(off, n int64) bool {
	for e := range d.layout.Extents(off, n) {
		if e.Pad {
			continue
		}
		h, err := d.acquire(e.File, false)
		if err != nil {
			if errors.Is(err, ErrMissing) {
				continue
			}
			return true // let the read say what is wrong
		}
		at, ok := nextData(h.file, e.Offset)
		h.release()
		if ok && at < e.Offset+e.Length {
			return true
		}
	}
	return false
}

// Prepare checks, before anything is fetched, that every file can be written:
// that nothing is in the way and nothing is longer than it should be. It creates
// the files of zero length, and nothing else. The error joins one [*Error] for
// each file, up to 100.
func (d *Dir) Prepare() error {
	if d.opts.ReadOnly {
		return d.fail("write", -1, ErrReadOnly, nil)
	}
	const most = 100
	var errs []error
	for i := range d.files {
		if !d.stored(i) {
			continue
		}
		if err := d.prepareFile(i); err != nil {
			if errs = append(errs, err); len(errs) == most {
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (d *Dir) prepareFile(i int) error {
	st := &d.files[i]
	st.slot.mu.Lock()
	defer st.slot.mu.Unlock()
	return d.withRoot("open", func(root *os.Root) error {
		err := d.checkLinks(root, i)
		if err == nil {
			err = d.prepareIn(root, i)
		}
		if err != nil {
			return d.fail("open", i, classify(err, true), err)
		}
		return nil
	})
}

func (d *Dir) prepareIn(root *os.Root, i int) error {
	want := d.layout.files[i].Length
	fi, err := root.Lstat(d.name(i))
	absent := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !absent:
		return err
	case !absent && fi.Size() > want && !d.opts.Force:
		return d.longer(i, fi.Size())
	case want > 0 || !absent && fi.Size() == 0:
		return nil
	}
	o, err := d.openWrite(root, i)
	o.close()
	return err
}

// Finish makes the symbolic links that the torrent declares, once the data is
// there. A link whose target is not a file or directory of the torrent, or is
// another link or reached through one, is refused; one that exists already is
// left alone, like anything else in its place. The error joins one [*Error] for
// each link that could not be made.
func (d *Dir) Finish() error {
	links := d.links()
	if len(links) == 0 || d.opts.ReadOnly {
		return nil
	}
	targets := d.targets()
	var errs []error
	for _, i := range links {
		err := d.withRoot("link", func(root *os.Root) error { return d.makeLink(root, i, targets) })
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (d *Dir) links() []int {
	var links []int
	for i := range d.layout.files {
		if f := &d.layout.files[i]; !f.Pad && f.Link != "" {
			links = append(links, i)
		}
	}
	return links
}

// targets returns the paths of all files and directories that are no links.
func (d *Dir) targets() map[string]bool {
	t := map[string]bool{}
	for i := range d.layout.files {
		if !d.stored(i) {
			continue
		}
		for p := d.name(i); p != "." && !t[p]; p = path.Dir(p) {
			t[p] = true
		}
	}
	return t
}

func (d *Dir) makeLink(root *os.Root, i int, targets map[string]bool) error {
	f := &d.layout.files[i]
	if !targets[f.Link] || strings.HasPrefix(f.Path, f.Link+"/") {
		return d.fail("link", i, ErrObstructed, errors.New("its target is no file or directory of the torrent beside it"))
	}
	if _, err := root.Lstat(f.Path); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return d.fail("link", i, classify(err, true), err)
		}
		return nil
	}
	dir := path.Dir(f.Path)
	if err := d.checkLinks(root, i); err != nil {
		return err
	}
	if err := root.MkdirAll(dir, dirPerm); err != nil {
		return d.fail("link", i, classify(err, true), err)
	}
	target, err := filepath.Rel(filepath.FromSlash(dir), filepath.FromSlash(f.Link))
	if err == nil {
		err = root.Symlink(target, f.Path)
	}
	if err != nil {
		return d.fail("link", i, classify(err, true), err)
	}
	d.noteDirs(dir)
	return nil
}
