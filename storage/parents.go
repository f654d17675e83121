package storage

import (
	"io/fs"
	"os"
	"path"

	"spate/internal/folder"
)

// statsAtOnce is the number of files that are examined in one call of withRoot.
const statsAtOnce = 256

// parents keeps the directory of the last examined file open, because the next file is
// probably in the same directory. This avoids resolving each path from the top.
type parents struct {
	root *os.Root
	dir  string   // path of sub
	sub  *os.Root // nil if no directory is open
	err  error    // why dir could not be opened

	parts    fs.FileInfo // of the parts file
	partsErr error
	hasParts bool // parts and partsErr are set
}

// stat returns the FileInfo for a path. If follow is set it follows symbolic links.
func (p *parents) stat(name string, follow bool) (fs.FileInfo, error) {
	in, base := p.root, name
	if dir := path.Dir(name); dir != "." {
		if dir != p.dir {
			p.close()
			p.dir = dir
			p.sub, p.err = folder.OpenSub(p.root, dir)
		}
		if p.err != nil {
			return nil, p.err
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

// eachStat calls stat for each file in the list, in batches. If the process runs out of
// descriptors it calls stat again for the files of a batch.
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

// statIn returns the state of file i. Anything but a regular file counts as missing.
func (d *Dir) statIn(p *parents, i int) (st FileStat, err error) {
	fi, err := p.stat(d.name(i), true)
	if classify(err, false) == ErrMissing && d.skip.has(i) {
		if !p.hasParts {
			p.hasParts = true
			p.parts, p.partsErr = p.root.Lstat(d.name(len(d.layout.files)))
		}
		fi, err = p.parts, p.partsErr
	}
	switch {
	case classify(err, false) == ErrMissing:
	case err != nil:
		return st, d.fail("stat", i, classify(err, false), err)
	case fi.Mode().IsRegular():
		st = StatOf(fi)
	}
	return st, nil
}
