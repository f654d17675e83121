package torrentfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/maker"
	"spate/metainfo"
)

// smallEntry is the size up to which entries are hashed in parallel, with one core each.
// Larger entries are hashed one after the other with all cores.
const smallEntry = 64 << 20

// Entry is an entry of a directory to make a torrent of.
type Entry struct {
	Path string // path of the data
	Out  string // path of the .torrent
	Size int64  // size of the data in bytes

	Skipped int // number of entries of the data that were left out

	MetaInfo *metainfo.MetaInfo // nil until the torrent is made
	Err      error              // why no torrent can be made; [MakeEach] skips an entry with an error
	Said     bool               // the user has read Err

	Files *maker.Selection // the files of the data; nil before Measure

	name string // path of the data for the maker: in its root, or Path
	done atomic.Int64
}

// NewEntry returns the entry name of a directory. Its torrent is written to the directory dir
// as NAME.torrent, which [atomicfile.Name] shortens if it is too long.
func NewEntry(in *folder.Folder, name, dir string) *Entry {
	e := &Entry{Path: in.Path(name), Out: filepath.Join(dir, atomicfile.Name(name, ".torrent")), name: name}
	if in.Root() == nil {
		e.name = e.Path
	}
	return e
}

// Measure lists the files of the entry and sets its size, or the error that prevents that.
func (e *Entry) Measure(ctx context.Context, o maker.Options) {
	o.Written = Written(o.Written, e.Out)
	if e.Files, e.Err = maker.Select(ctx, e.name, o); e.Err != nil {
		return
	}
	o.Selected = e.Files
	e.Size, _, e.Err = maker.Measure(ctx, e.name, o)
}

// Written returns list with the file at out, if it exists, for [maker.Options.Written].
func Written(list []os.FileInfo, out string) []os.FileInfo {
	if fi, err := os.Stat(out); err == nil {
		list = append(slices.Clip(list), fi)
	}
	return list
}

// MakeEach makes the torrents of the entries without an error. It calls progress concurrently
// with numbers of hashed bytes. It stores an error in its entry and continues.
func MakeEach(ctx context.Context, entries []*Entry, o maker.Options, progress func(done, total int64)) {
	var total int64
	for _, e := range entries {
		if e.Err == nil {
			total += e.Size
		}
	}
	update := func() {
		var done int64
		for _, e := range entries {
			done += e.done.Load()
		}
		progress(done, total)
	}
	one := func(e *Entry, o maker.Options) {
		o.Progress = func(p maker.Progress) {
			e.done.Store(p.Done)
			update()
		}
		if e.Files != nil && !e.Files.Outdated() { // the hashing of other entries may have taken hours
			o.Selected = e.Files
		}
		e.MetaInfo, e.Err = maker.Make(ctx, e.name, o)
		e.Files = nil // release the memory
	}
	procs := o.Workers
	if procs <= 0 {
		procs = runtime.GOMAXPROCS(0)
	}
	small := make(chan *Entry)
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
	for _, e := range entries {
		if e.Err == nil && e.Size <= smallEntry {
			small <- e
		}
	}
	close(small)
	wg.Wait()
	for _, e := range entries {
		if e.Err == nil && e.Size > smallEntry {
			one(e, o)
		}
	}
}

// Date returns the creation date of a new torrent: epoch, the value of SOURCE_DATE_EPOCH, or
// now if epoch is empty. With SOURCE_DATE_EPOCH builds give the same bytes at any time
// (reproducible-builds.org).
func Date(epoch string, now time.Time) (time.Time, error) {
	if epoch == "" {
		return now, nil
	}
	var sec int64
	if _, err := fmt.Sscan(epoch, &sec); err != nil || sec < 0 {
		return now, fault.Usagef("SOURCE_DATE_EPOCH=%s is not a number of seconds", epoch)
	}
	return time.Unix(sec, 0), nil
}

// MakeError adds a code, or the setting that the user can change, to an error of package maker.
func MakeError(err error) error {
	var pattern *maker.PatternError
	var length *maker.PieceLengthError
	var collision *maker.CollisionError
	var written *maker.WrittenError
	var size *maker.SizeError
	switch {
	case errors.As(err, &written):
		return fault.WithSetting(&fault.Error{Code: fault.Usage, Err: err}, "output-apart")
	case errors.As(err, &pattern), errors.As(err, &length):
		return &fault.Error{Code: fault.Usage, Err: err}
	case errors.As(err, &collision):
		return fault.WithSetting(err, "exclude")
	case errors.As(err, &size):
		return fault.New(fault.BadData, "use --format v1, a larger --piece-length, or fewer files, such as an archive", "%w", err)
	case errors.Is(err, maker.ErrEmpty):
		return fault.WithSetting(err, "hidden")
	}
	return err
}
