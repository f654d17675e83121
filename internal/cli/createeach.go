package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/torrentfile"
	"spate/internal/watch"
	"spate/maker"
)

// createEach makes a torrent of each entry of the directory dir. It continues after an error.
func (a *app) createEach(ctx context.Context, dir string, o maker.Options, opt *createOptions) error {
	switch {
	case o.Name != "":
		return fault.Usagef("--each and --name: choose one, because --each names torrents after their entries")
	case opt.output == "-":
		return fault.Usagef("--each writes several torrents: -o must be a directory")
	}
	if opt.output != "" {
		if err := os.MkdirAll(opt.output, 0o777); err != nil {
			return err
		}
	}
	in, err := folder.Open(dir, folder.Options{FollowLinks: opt.follow})
	if err != nil {
		return err
	}
	defer in.Close()
	o.Root = in.Root()
	list, err := a.entries(ctx, in, o, opt)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fault.WithHint(fmt.Errorf("%s: %w", dir, maker.ErrEmpty), "--each makes a torrent of each entry of a directory")
	}
	bar := a.NewProgress(fmt.Sprintf("hashing %d torrents", len(list)))
	torrentfile.MakeEach(ctx, list, o, bar.Update)
	bar.Finish()
	return a.writeEach(ctx, list, opt)
}

// entries returns the entries of the directory to make torrents of, with their sizes.
func (a *app) entries(ctx context.Context, in *folder.Folder, o maker.Options, opt *createOptions) ([]*torrentfile.Entry, error) {
	names, err := in.ReadDir()
	if err != nil {
		return nil, err
	}
	o.Skipped = nil
	var list []*torrentfile.Entry
	for _, d := range names {
		name := d.Name()
		e := torrentfile.NewEntry(in, name, filepath.Join(opt.output, name+".torrent"))
		if why := leftOut(in, d, o.Hidden); why != "" {
			a.skipped(maker.Skipped{Path: name, Reason: why})
			continue
		}
		if strings.HasSuffix(name, ".torrent") && d.Type().IsRegular() {
			continue // an earlier run has made this torrent
		}
		e.Measure(ctx, o)
		if errors.Is(e.Err, maker.ErrEmpty) {
			a.Notef("%s is empty: skipped", e.Path)
			continue
		}
		if e.Err == nil {
			e.Err = torrentfile.CheckTarget(e.Out, opt.force)
		}
		if e.Err == nil && !opt.force && len(o.Include)+len(o.Exclude) == 0 {
			e.Err = fault.WithHint(watch.CheckWriters(in, name), writtenHint)
		}
		list = append(list, e)
	}
	return list, ctx.Err()
}

// leftOut returns the reason why the entry d of the directory in is skipped, or "".
func leftOut(in *folder.Folder, d fs.DirEntry, hidden bool) maker.SkipReason {
	if !hidden && maker.Hidden(d) {
		return maker.SkipHidden
	}
	mode := d.Type()
	if mode&fs.ModeSymlink != 0 {
		fi, err := in.Stat(d.Name())
		switch {
		case errors.Is(err, folder.ErrOutside):
			return maker.SkipOutside
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP):
			return maker.SkipBroken
		case err != nil:
			return "" // the maker reports the error
		}
		mode = fi.Mode()
	}
	if !mode.IsDir() && !mode.IsRegular() {
		return maker.SkipSpecial
	}
	return ""
}

// writeEach writes the torrents that were made, and reports errors.
func (a *app) writeEach(ctx context.Context, list []*torrentfile.Entry, opt *createOptions) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var first error
	failed := 0
	for _, e := range list {
		var b []byte
		if e.Err == nil {
			b, e.Err = a.torrentBytes(e.MetaInfo)
		}
		if e.Err == nil {
			e.Err = torrentfile.Write(e.Out, b, opt.force)
		}
		if e.Err != nil {
			a.Warnf("%s", fault.Message(e.Err))
			failed++
			if first == nil {
				first = torrentfile.MakeError(e.Err)
			}
			continue
		}
		if err := a.printCreated(e.MetaInfo, e.Out); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fault.New(fault.CodeOf(first), hintFor(first), "%d of %d torrents were not made", failed, len(list))
	}
	return nil
}
