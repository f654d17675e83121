package storage

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// mostHops bounds the links that a link's target may lead over, as systems do.
const mostHops = 40

// Finish makes the symbolic links that the torrent declares (BEP 47), once the
// data is there. A link whose target is not, perhaps over other links, a file or
// directory of the torrent is refused; what exists already in a link's place is
// left alone. The error joins one [*Error] for each link that could not be made.
func (d *Dir) Finish() error {
	t := d.newTargets()
	if len(t.links) == 0 || d.opts.ReadOnly {
		return nil
	}
	var errs []error
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

// isLink reports whether entry i is a symbolic link.
func (d *Dir) isLink(i int) bool {
	f := &d.layout.files[i]
	return !f.Pad && f.Link != ""
}

// targets is what links may lead to, by the paths of the layout.
type targets struct {
	links map[string]string
	real  map[string]bool // files, and directories that hold any
}

func (d *Dir) newTargets() *targets {
	t := &targets{links: map[string]string{}, real: map[string]bool{}}
	for i := range d.layout.files {
		f := &d.layout.files[i]
		switch {
		case f.Pad:
			continue
		case f.Link != "":
			t.links[f.Path] = f.Link
		default:
			t.real[f.Path] = true
		}
		for p := path.Dir(f.Path); p != "." && !t.real[p]; p = path.Dir(p) {
			t.real[p] = true
		}
	}
	return t
}

// leads reports whether p ends at a file or directory of the torrent.
func (t *targets) leads(p string) bool {
	for hops := 0; hops <= mostHops; hops++ {
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
	f := &d.layout.files[i]
	if !t.leads(f.Link) || strings.HasPrefix(f.Path, f.Link+"/") {
		return d.fail("link", i, ErrObstructed, errors.New("its target is not in the torrent, or holds the link"))
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
	// The torrent's name may be another here; the way from the link to its target
	// is the same.
	target, err := filepath.Rel(filepath.FromSlash(path.Dir(f.Path)), filepath.FromSlash(f.Link))
	if err == nil {
		err = root.Symlink(target, name)
	}
	if err != nil {
		return d.fail("link", i, classify(err, true), err)
	}
	d.noteDirs(dir)
	return nil
}
