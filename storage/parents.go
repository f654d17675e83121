package storage

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"spate/internal/folder"
)

// statsAtOnce is how many files are looked at in one turn to resolve paths.
const statsAtOnce = 256

// parents keeps the directory open in which a file was looked at last, for the next
// one is most likely beside it: a path need not be resolved from the top each time.
type parents struct {
	root *os.Root
	dir  string   // the path of sub
	sub  *os.Root // nil: none is open
}

// stat describes what is at a path, with whatever a symbolic link leads to if follow
// says so.
func (p *parents) stat(name string, follow bool) (fs.FileInfo, error) {
	in, base := p.root, name
	if dir := path.Dir(name); dir != "." {
		if p.sub == nil || dir != p.dir {
			p.close()
			sub, err := folder.OpenSub(p.root, dir)
			if err != nil {
				return nil, err
			}
			p.dir, p.sub = dir, sub
		}
		in, base = p.sub, path.Base(name)
	}
	fi, err := in.Lstat(base)
	if err == nil && follow && fi.Mode()&fs.ModeSymlink != 0 {
		return p.root.Stat(name)
	}
	return fi, err
}

func (p *parents) close() {
	if p.sub != nil {
		p.sub.Close()
		p.sub = nil
	}
}

// eachStat calls stat for every file of the list, many in one turn to resolve paths. It
// is called again for some of them when descriptors ran out.
func (d *Dir) eachStat(files []int, stat func(p *parents, i int) error) error {
	for len(files) > 0 {
		some := files[:min(statsAtOnce, len(files))]
		files = files[len(some):]
		err := d.withRoot("stat", func(root *os.Root) error {
			p := parents{root: root}
			defer p.close()
			for _, i := range some {
				if err := stat(&p, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// statIn returns what there is of file i. What is not a regular file does not count as
// one.
func (d *Dir) statIn(p *parents, i int) (st FileStat, err error) {
	fi, err := p.stat(d.name(i), true)
	if errors.Is(err, fs.ErrNotExist) && d.files[i].skip.Load() {
		fi, err = p.root.Lstat(d.name(len(d.layout.files)))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return st, d.fail("stat", i, classify(err, false), err)
	case fi.Mode().IsRegular():
		st = statOf(fi)
	}
	return st, nil
}
