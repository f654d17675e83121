package maker

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Measure returns how many bytes [Make] would hash and how many files the torrent would
// have. It reads no data, and returns every error of Make that does not depend on the
// data: an error about a file that cannot be opened is one of them.
func Measure(ctx context.Context, path string, o Options) (bytes int64, files int, err error) {
	_, t, err := o.prepare(ctx, path)
	if err != nil {
		return 0, 0, err
	}
	return t.size, len(t.entries), nil
}

// prepare lists the files at path and lays out their torrent. It returns all errors that can
// be found without reading data, so that nobody waits for hours of hashing for one of them.
func (o *Options) prepare(ctx context.Context, path string) (*build, *tree, error) {
	t, how, err := o.scan(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	b, err := newBuild(t, o, how)
	if err != nil {
		return nil, nil, err
	}
	if err := b.checkReadable(ctx, t); err != nil {
		return nil, nil, err
	}
	return b, t, b.rehearse()
}

// scan checks the options and lists the files at path, unless they are listed already.
func (o *Options) scan(ctx context.Context, path string) (*tree, style, error) {
	if err := o.check(); err != nil {
		return nil, style{}, err
	}
	how, err := o.style()
	if err != nil {
		return nil, how, err
	}
	if o.Selected != nil {
		return o.Selected.t, how, o.Selected.CheckWritten(o.Written)
	}
	so := scanOptions{
		files: o.Files, hidden: how.hidden, noEmpty: !how.empty, links: how.links, linkExec: how.linkExec, order: how.order,
		skipped: o.Skipped, unmatched: o.Unmatched, format: o.Format, root: o.Root, written: o.Written,
	}
	if so.include, err = parseCounted(o.Include); err != nil {
		return nil, how, err
	}
	if so.exclude, err = parseCounted(o.Exclude); err != nil {
		return nil, how, err
	}
	t, err := scan(ctx, path, so)
	return t, how, err
}

// checkReadable opens the files that not everybody may read, and returns the first error.
func (b *build) checkReadable(ctx context.Context, t *tree) error {
	var from *opener
	for i := range t.entries {
		e := &t.entries[i]
		if e.stat.size == 0 || e.public {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if from == nil {
			var err error
			if from, err = b.opener(t); err != nil {
				return err
			}
			defer from.close()
		}
		f, err := from.open(e.rel)
		if err != nil {
			return err
		}
		f.close()
	}
	return nil
}

// rehearse makes the torrent with invented hashes, which are replaced later, and returns the
// error. The parser rejects torrents for example because they list too many files.
func (b *build) rehearse() error {
	for k, layer := range b.layers {
		for at := 0; at < len(layer); at += 32 {
			binary.BigEndian.PutUint64(layer[at:], uint64(k)+1) // no two files have the same root
		}
	}
	var err error
	b.made, err = b.torrent()
	return err
}

// WrittenError is returned if the data contains a file or directory of [Options.Written].
type WrittenError struct{ Path string }

func (e *WrittenError) Error() string {
	return fmt.Sprintf("%s is part of the data, but this command also writes to it", e.Path)
}

// checkWritten returns a *WrittenError if the entry rel of the tree, which fi describes, is
// one of written.
func (t *tree) checkWritten(written []os.FileInfo, rel string, fi os.FileInfo) error {
	if slices.ContainsFunc(written, func(w os.FileInfo) bool { return os.SameFile(w, fi) }) {
		return &WrittenError{filepath.Join(t.at.path, filepath.FromSlash(rel))}
	}
	return nil
}
