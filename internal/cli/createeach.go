package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"spate/internal/fault"
	"spate/internal/folder"
	"spate/maker"
	"spate/metainfo"
)

// smallEntry is the size up to which entries are hashed beside each other, one
// core each; larger ones have all cores and go one after the other.
const smallEntry = 64 << 20

// eachEntry is one entry of the directory of --each.
type eachEntry struct {
	path, out string
	name      string // what the maker is told of: in its root, or the path
	size      int64
	m         *metainfo.MetaInfo
	err       error
	done      atomic.Int64
}

// createEach makes a torrent of every entry of the directory dir. One that fails
// does not stop the others.
func (a *app) createEach(ctx context.Context, dir string, o maker.Options, opt *createOptions) error {
	switch {
	case o.Name != "":
		return fault.Usagef("--each and --name: every torrent has the name of its entry")
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
		return fault.WithHint(fmt.Errorf("%s: %w", dir, maker.ErrEmpty), "--each makes a torrent of every entry of a directory")
	}
	a.makeEach(ctx, list, o)
	return a.writeEach(ctx, list, opt)
}

// newEachEntry is the entry name of a directory, whose torrent is written to out.
func newEachEntry(in *folder.Folder, name, out string) *eachEntry {
	e := &eachEntry{path: in.Path(name), out: out, name: name}
	if in.Root() == nil {
		e.name = e.path
	}
	return e
}

// entries lists what torrents are made of, with the sizes for the bar.
func (a *app) entries(ctx context.Context, in *folder.Folder, o maker.Options, opt *createOptions) ([]*eachEntry, error) {
	names, err := in.ReadDir()
	if err != nil {
		return nil, err
	}
	o.Skipped = nil
	var list []*eachEntry
	for _, d := range names {
		name := d.Name()
		e := newEachEntry(in, name, filepath.Join(opt.output, name+".torrent"))
		if why := leftOut(in, d, o.Hidden); why != "" {
			a.skipped(maker.Skipped{Path: name, Reason: why})
			continue
		}
		if strings.HasSuffix(name, ".torrent") && d.Type().IsRegular() {
			continue // what this verb wrote before
		}
		e.size, _, e.err = maker.Measure(ctx, e.name, o)
		if errors.Is(e.err, maker.ErrEmpty) {
			a.Notef("%s is empty: left out", e.path)
			continue
		}
		if e.err == nil {
			e.err = checkTarget(e.out, opt.force)
		}
		list = append(list, e)
	}
	return list, ctx.Err()
}

// leftOut returns why no torrent is made of an entry of the directory in; "" if one
// is.
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
			return "" // the maker says what it is
		}
		mode = fi.Mode()
	}
	if !mode.IsDir() && !mode.IsRegular() {
		return maker.SkipSpecial
	}
	return ""
}

// makeEach makes the torrents of list, with one bar for all.
func (a *app) makeEach(ctx context.Context, list []*eachEntry, o maker.Options) {
	var total int64
	for _, e := range list {
		if e.err == nil {
			total += e.size
		}
	}
	bar := a.NewProgress(fmt.Sprintf("hashing %d torrents", len(list)))
	defer bar.Finish()
	update := func() {
		var done int64
		for _, e := range list {
			done += e.done.Load()
		}
		bar.Update(done, total)
	}
	one := func(e *eachEntry, o maker.Options) {
		o.Progress = func(p maker.Progress) {
			e.done.Store(p.Done)
			update()
		}
		e.m, e.err = maker.Make(ctx, e.name, o)
	}
	procs := o.Workers
	if procs <= 0 {
		procs = runtime.GOMAXPROCS(0)
	}
	small := make(chan *eachEntry)
	var wg sync.WaitGroup
	for range procs {
		wg.Go(func() {
			single := o
			single.Workers = 1
			for e := range small {
				one(e, single)
			}
		})
	}
	for _, e := range list {
		if e.err == nil && e.size <= smallEntry {
			small <- e
		}
	}
	close(small)
	wg.Wait()
	for _, e := range list {
		if e.err == nil && e.size > smallEntry {
			one(e, o)
		}
	}
}

// writeEach writes what was made, and says what failed.
func (a *app) writeEach(ctx context.Context, list []*eachEntry, opt *createOptions) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var first error
	failed := 0
	for _, e := range list {
		if e.err == nil {
			var b []byte
			if b, e.err = a.torrentBytes(e.m); e.err == nil {
				e.err = writeTarget(e.out, b, opt.force)
			}
		}
		if e.err != nil {
			a.Warnf("%s", fault.Message(e.err))
			failed++
			if first == nil {
				first = makeError(e.err)
			}
			continue
		}
		if err := a.printCreated(e.m, e.out); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fault.New(fault.CodeOf(first), hintFor(first), "%d of %d torrents were not made", failed, len(list))
	}
	return nil
}
