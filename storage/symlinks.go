package storage

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxHops limits the symbolic links in the resolution of a target, as operating systems
// do.
const maxHops = 40

// Finish implements [Preparer]: it checks that every wanted file has exactly its length, and
// creates the symbolic links of the torrent (BEP 47). Call it when the download is complete.
// Finish refuses a link whose target, after following other links, is not a file or directory
// of the torrent, and keeps whatever already exists at the path of a link. The error joins one
// [*Error] for each entry that failed.
func (d *Dir) Finish() error {
	if d.opts.ReadOnly {
		return nil
	}
	errs := d.finishLengths()
	t := d.newTargets()
	if len(t.links) == 0 {
		return joined(errs)
	}
	for i := range d.layout.files {
		if !d.isLink(i) {
			continue
		}
		err := d.withRoot("link", func(root *os.Root) error { return d.makeLink(root, i, t) })
		if err != nil {
			errs = append(errs, err)
		}
	}
	return joined(errs)
}

// finishLengths creates or cuts the wanted files that do not have exactly their length. It
// returns an error for each file that another program has changed.
func (d *Dir) finishLengths() (errs []error) {
	var wanted, wrong []int
	for i := range d.layout.files {
		if d.stored(i) && !d.skip.has(i) {
			wanted = append(wanted, i)
		}
	}
	err := d.eachStat(wanted, func(p *parents, i int) error {
		fi, err := p.stat(d.name(i), false)
		if err != nil || !fi.Mode().IsRegular() || fi.Size() != d.length(i) {
			wrong = append(wrong, i) // opening the file returns the error
		}
		return nil
	})
	if err != nil {
		return []error{err}
	}
	for _, i := range wrong {
		d.file(i).slot.drop() // open the file at the path
		h, err := d.acquire(i, true)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		h.release()
	}
	return errs
}

// isLink reports whether entry i is a symbolic link.
func (d *Dir) isLink(i int) bool {
	return !d.layout.isPad(i) && d.layout.files[i].Symlink != nil
}

// targets holds the possible targets of links, by the paths of the layout.
type targets struct {
	links map[string]string
	real  map[string]bool // files, and the directories above them
}

func (d *Dir) newTargets() *targets {
	t := &targets{links: map[string]string{}, real: map[string]bool{}}
	for i := range d.layout.files {
		at := d.layout.path(i)
		switch {
		case d.layout.isPad(i):
			continue
		case d.isLink(i):
			t.links[at] = d.layout.link(i)
		default:
			t.real[at] = true
		}
		for p := path.Dir(at); p != "." && !t.real[p]; p = path.Dir(p) {
			t.real[p] = true
		}
	}
	return t
}

// resolves reports whether p, after following links, is a file or directory of the
// torrent.
func (t *targets) resolves(p string) bool {
	for hops := 0; hops <= maxHops; hops++ {
		next := ""
		for end := 0; end <= len(p) && next == ""; end++ {
			if end < len(p) && p[end] != '/' {
				continue
			}
			if to, ok := t.links[p[:end]]; ok {
				next = to + p[end:]
			}
		}
		if next == "" {
			return t.real[p]
		}
		p = next
	}
	return false
}

func (d *Dir) makeLink(root *os.Root, i int, t *targets) error {
	at, link := d.layout.path(i), d.layout.link(i)
	if !t.resolves(link) || strings.HasPrefix(at, link+"/") {
		return d.fail("link", i, ErrObstructed, errors.New("the target is not in the torrent, or contains the link"))
	}
	name := d.name(i)
	if _, err := root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return d.fail("link", i, classify(err, true), err)
		}
		return nil
	}
	if err := d.checkLinks(root, i); err != nil {
		return err
	}
	dir := path.Dir(name)
	if dir != "." {
		if err := root.MkdirAll(dir, dirPerm); err != nil {
			return d.fail("link", i, classify(err, true), err)
		}
	}
	// The user may have renamed the torrent, so use the relative path from the link to
	// its target.
	target, err := filepath.Rel(filepath.FromSlash(path.Dir(at)), filepath.FromSlash(link))
	if err == nil {
		err = root.Symlink(target, name)
	}
	if err != nil {
		return d.fail("link", i, classify(err, true), err)
	}
	d.noteDirs(dir)
	return nil
}
