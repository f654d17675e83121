package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/torrentfile"
	"spate/internal/units"
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
	if fi, err := os.Stat(opt.output); err == nil && !fi.IsDir() {
		return fault.New(fault.Exists, "--each writes several torrents: -o must be a directory", "%s is not a directory", opt.output)
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
	if err := a.readyEach(list, opt); err != nil {
		return err
	}
	o.Skipped, o.Unmatched = nil, nil // entries has reported them
	bar := a.NewProgress(fmt.Sprintf("hashing %s", units.Plural(len(list), "torrent")))
	torrentfile.MakeEach(ctx, list, o, bar.Update)
	bar.Finish()
	return a.writeEach(ctx, list, opt)
}

// readyEach prints the errors of the entries that are known before hashing. It creates the
// output directory if torrents can be made, and otherwise returns an error.
func (a *app) readyEach(list []*torrentfile.Entry, opt *createOptions) error {
	var outs []string
	for _, e := range list {
		outs = append(outs, e.Out)
	}
	same := torrentfile.CheckTargets(outs)
	for i, e := range list {
		e.Err = cmp.Or(e.Err, same[i])
		if e.Err != nil {
			a.sayEach(e)
		}
	}
	if err := failedEach(list); err != nil && !slices.ContainsFunc(list, func(e *torrentfile.Entry) bool { return e.Err == nil }) {
		return err
	}
	if opt.output != "" {
		if err := atomicfile.ProbeNew(opt.output); err != nil {
			return fault.WithSetting(err, "output-file")
		}
		return os.MkdirAll(opt.output, 0o777)
	}
	return nil
}

// sayEach prints the error of an entry.
func (a *app) sayEach(e *torrentfile.Entry) {
	a.Warnf("%s", fault.Message(e.Err))
	e.Said = true
}

// entries returns the entries of the directory to make torrents of, with their sizes.
func (a *app) entries(ctx context.Context, in *folder.Folder, o maker.Options, opt *createOptions) ([]*torrentfile.Entry, error) {
	names, err := in.ReadDir()
	if err != nil {
		return nil, err
	}
	skipped, left := a.leftOut()
	o.Written = a.OutputFiles()
	var patterns torrentfile.Patterns
	into, _ := os.Stat(opt.output) // nil: it does not exist, or there is no -o
	var list []*torrentfile.Entry
	for _, d := range names {
		name := d.Name()
		e := torrentfile.NewEntry(in, name, opt.output)
		if why := leftOut(in, d, o.Hidden); why != "" {
			skipped(maker.Skipped{Path: name, Reason: why})
			continue
		}
		if strings.HasSuffix(name, ".torrent") && d.Type().IsRegular() {
			continue // an earlier run has made this torrent
		}
		if fi, err := in.Stat(name); err == nil && into != nil && os.SameFile(fi, into) {
			continue // the directory of the torrents is not data
		}
		o.Unmatched = patterns.Torrent()
		o.Skipped = func(s maker.Skipped) {
			e.Skipped++
			skipped(maker.Skipped{Path: name + "/" + s.Path, Reason: s.Reason})
		}
		e.Measure(ctx, o)
		if errors.Is(e.Err, maker.ErrEmpty) {
			a.Notef("%s is empty: skipped", e.Path)
			continue
		}
		if e.Err == nil && (into != nil || opt.output == "") {
			e.Err = torrentfile.CheckTarget(e.Out, opt.force)
		}
		if e.Err == nil && !opt.force {
			e.Err = fault.WithHint(watch.CheckWriters(in, name, e.Files.Paths()), writtenHint)
		}
		list = append(list, e)
	}
	a.warnLeftOut(left)
	for _, u := range patterns.Unmatched() {
		a.warnUnmatched(u, in.Path("."))
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
	for _, e := range list {
		var b []byte
		if e.Err == nil {
			b, e.Err = a.torrentBytes(e.MetaInfo)
		}
		if e.Err == nil {
			e.Err = a.writeTorrent(e.Out, e.MetaInfo, b, opt.force)
		}
		if e.Err != nil {
			if !e.Said {
				a.sayEach(e)
			}
			continue
		}
		if err := a.printCreated(e.MetaInfo, created{e.Out, e.Skipped}); err != nil {
			return err
		}
	}
	return failedEach(list)
}

// failedEach returns an error with the number of the entries that failed, or nil.
func failedEach(list []*torrentfile.Entry) error {
	var first error
	failed := 0
	for _, e := range list {
		if e.Err == nil {
			continue
		}
		failed++
		if first == nil {
			first = torrentfile.MakeError(e.Err)
		}
	}
	if failed == 0 {
		return nil
	}
	return fault.New(fault.CodeOf(first), hintFor(first), "%s not made", units.PartIs(failed, len(list), "torrent", "was", "were"))
}
