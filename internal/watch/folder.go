// Package watch watches directories. [Run] calls a function when something in them changes,
// and [Folder] finds the complete entries of a directory: the files and directories that no
// program writes to any more.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spate/internal/folder"
)

// Options of a [Folder]. The zero value has the defaults.
type Options struct {
	// Settle is for how long an entry has to stay as it is before it counts as
	// complete. Something that was last written to earlier than that counts at
	// once, as what is moved in. Zero: three seconds.
	Settle time.Duration
	// Rescan is how often the folder is looked at though the system told of no
	// change: those deep in a directory, and on file systems that tell nothing.
	// Zero: 30 seconds.
	Rescan time.Duration
	// FollowLinks counts links as what they lead to, wherever that is. Without it,
	// links that lead out of the folder are refused.
	FollowLinks bool
	// Log is for what an operator should know; nil: discarded.
	Log *slog.Logger
}

// Entry is something complete in a folder: a file, a directory, or a link to one.
type Entry struct {
	Name string // of one element
	Dir  bool   // it is a directory, or leads to one
	// Stamp stands for names, sizes, times and numbers of all files: while it is
	// the same, so are they.
	Stamp string
}

// Scan is what a folder holds.
type Scan struct {
	Entries []Entry   // complete, by name
	Waiting []string  // names of what is still being written, by name
	Refused []Refused // what is neither a file nor a directory of the folder, by name
	// Err says that the folder could not be read, or that another file system is
	// mounted there than before: nothing is known of what it holds.
	Err error
}

// Refused is an entry that nothing is made of.
type Refused struct {
	Name string
	// Err is a [folder.LinkError] for a link that leads out, a [folder.TypeError]
	// for a pipe, a socket or a device, an fs.ErrNotExist for a link to nothing.
	Err error
}

// Folder watches one directory.
type Folder struct {
	dir   string
	opt   Options
	dev   uint64 // of the first scan
	seen  map[string]sight
	known bool // dev is
}

// sight is an entry as it was seen last.
type sight struct {
	stamp string
	since time.Time // it looks so
	done  bool      // it was complete then
}

// New returns a watcher of the directory dir.
func New(dir string, opt Options) (*Folder, error) {
	if opt.Settle < 0 || opt.Rescan < 0 {
		return nil, errors.New("watch: a time is negative")
	}
	if opt.Settle == 0 {
		opt.Settle = 3 * time.Second
	}
	if opt.Rescan == 0 {
		opt.Rescan = 30 * time.Second
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(dir)
	return &Folder{dir: dir, opt: opt, seen: map[string]sight{}}, err
}

// quiet is the time without changes after which the folder is scanned, so that entries
// that arrive together are found together.
const quiet = 100 * time.Millisecond

// Run scans the folder and calls each with the result: at once, and whenever the folder
// may have changed. It returns the cause of the end of ctx.
func (f *Folder) Run(ctx context.Context, each func(Scan)) error {
	Run(ctx, RunOptions{Settle: quiet, Every: f.opt.Rescan, Log: f.opt.Log.With("folder", f.dir)}, func(d *Dirs) {
		d.Add(f.dir)
		scan := f.Scan(time.Now())
		if scan.Err != nil {
			d.Remove(f.dir) // another directory may appear at the path
		}
		each(scan)
		if len(scan.Waiting) > 0 {
			d.Again(max(f.opt.Settle/4, quiet))
		}
	})
	return context.Cause(ctx)
}

// Scan looks at the folder once.
func (f *Folder) Scan(now time.Time) (s Scan) {
	in, err := folder.Open(f.dir, folder.Options{FollowLinks: f.opt.FollowLinks})
	if err != nil {
		return Scan{Err: err}
	}
	defer in.Close()
	self, err := in.Stat(".")
	if err != nil {
		return Scan{Err: err}
	}
	if dev := device(self); !f.known {
		f.dev, f.known = dev, true
	} else if dev != f.dev {
		return Scan{Err: fmt.Errorf("%s: another file system is mounted there than when the program began", f.dir)}
	}
	entries, err := in.ReadDir()
	if err != nil {
		return Scan{Err: err}
	}
	seen := map[string]sight{}
	for _, e := range entries {
		if Temporary(e.Name()) {
			continue
		}
		info, err := describe(in, e, self)
		if err != nil {
			s.Refused = append(s.Refused, Refused{e.Name(), err})
			continue
		}
		stamp, newest, err := stampOf(in, info)
		if err != nil { // removed meanwhile, or on its way
			s.Waiting = append(s.Waiting, e.Name())
			continue
		}
		v, had := f.seen[e.Name()]
		if !had || v.stamp != stamp {
			v = sight{stamp: stamp, since: now}
		}
		if !v.done {
			v.done = (now.Sub(v.since) >= f.opt.Settle || !newest.After(now) && now.Sub(newest) >= f.opt.Settle) && !beingWritten(in, info)
		}
		seen[e.Name()] = v
		if v.done {
			s.Entries = append(s.Entries, Entry{Name: e.Name(), Dir: info.IsDir(), Stamp: stamp})
		} else {
			s.Waiting = append(s.Waiting, e.Name())
		}
	}
	f.seen = seen
	return s
}

// describe describes an entry of the folder in, which self describes, or what it leads
// to if it is a link. The error says why nothing can be made of it.
func describe(in *folder.Folder, e fs.DirEntry, self fs.FileInfo) (fs.FileInfo, error) {
	if e.Type()&fs.ModeSymlink == 0 {
		info, err := e.Info()
		if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
			err = &folder.TypeError{Path: in.Path(e.Name()), Type: info.Mode().Type()}
		}
		return info, err
	}
	info, err := in.Stat(e.Name())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is a symbolic link to nothing: %w", in.Path(e.Name()), fs.ErrNotExist)
	case err != nil:
		return nil, err
	case os.SameFile(info, self):
		return nil, fmt.Errorf("%s is a symbolic link to the folder that it lies in", in.Path(e.Name()))
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil, &folder.TypeError{Path: in.Path(e.Name()), Type: info.Mode().Type()}
	}
	return info, nil
}

// Temporary reports whether a name is that of something that a program has not
// finished, or of nothing that anybody means to publish: hidden files and the
// names that downloaders and editors use meanwhile.
func Temporary(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") || strings.HasSuffix(name, "~") {
		return true
	}
	endings := []string{".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".aria2", ".!qb", ".!ut", ".swp"}
	lower := strings.ToLower(name)
	return slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(lower, e) }) ||
		slices.Contains([]string{"thumbs.db", "desktop.ini"}, lower)
}
