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

	"spate/internal/filestat"
	"spate/internal/folder"
)

// Options are the settings of a [Folder]. The zero value means the defaults.
type Options struct {
	// Settle is the time for which an entry must not change before it is complete. An entry
	// that was last written earlier, such as one that was moved in, is complete at once. 0
	// means three seconds.
	Settle time.Duration
	// Rescan is the interval at which the folder is scanned without a notification from the
	// system. Such scans find changes deep in a directory and on network file systems. 0
	// means 30 seconds.
	Rescan time.Duration
	// FollowLinks follows all links. Without it, links that lead out of the folder are
	// refused.
	FollowLinks bool
	// Log receives warnings for the operator. Nil discards them.
	Log *slog.Logger
}

// Entry is a complete entry of a folder: a file, a directory, or a link to one.
type Entry struct {
	Name string // name in the folder
	Dir  bool   // a directory or a link to one
	// Stamp is a hash of the names, sizes, times and inode numbers of all files of the
	// entry. It changes if any of them changes.
	Stamp string
}

// Scan is the result of one scan of a folder. Its lists are sorted by name.
type Scan struct {
	Entries []Entry   // complete entries
	Waiting []string  // names of entries that are still being written
	Refused []Refused // entries that are neither a file nor a directory of the folder
	// Temporary are the names that [Temporary] reports. One of them may be an entry on its way.
	Temporary []string
	// Err is not nil if the folder cannot be read, or if another file system was mounted on
	// it since the first scan. The lists are then empty, and the contents unknown.
	Err error
}

// Refused is an entry that cannot be published.
type Refused struct {
	Name string
	// Err is a [folder.LinkError] for a link that leads out, a [folder.TypeError] for a pipe,
	// a socket or a device, and wraps fs.ErrNotExist for a link without a target.
	Err error
}

// Folder watches one directory.
type Folder struct {
	dir   string
	opt   Options
	dev   uint64 // number of the file system at the first scan
	known bool   // dev is set
	seen  map[string]sight
}

// New returns a watcher for the directory dir. It does not start to watch.
func New(dir string, opt Options) (*Folder, error) {
	if opt.Settle < 0 || opt.Rescan < 0 {
		return nil, errors.New("watch: a time is negative")
	}
	if opt.Settle == 0 {
		opt.Settle = DefaultSettle
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

// Run scans the folder and calls each with the result: at once, and whenever the folder may
// have changed. It returns the cause when ctx ends.
func (f *Folder) Run(ctx context.Context, each func(Scan)) error {
	Run(ctx, RunOptions{Settle: quiet, Every: f.opt.Rescan, Log: f.opt.Log.With("folder", f.dir)}, func(d *Dirs) {
		d.Add(f.dir)
		scan := f.Scan(time.Now())
		if scan.Err != nil {
			d.Remove(f.dir) // another directory may be at the path now
		}
		each(scan)
		if len(scan.Waiting) > 0 {
			d.Again(max(f.opt.Settle/4, quiet))
		}
	})
	return context.Cause(ctx)
}

// Scan scans the folder once. now is the present time, which Scan compares with the times
// of files.
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
	if dev := filestat.Device(self); !f.known {
		f.dev, f.known = dev, true
	} else if dev != f.dev {
		return Scan{Err: fmt.Errorf("%s: another file system was mounted there after the program started", f.dir)}
	}
	entries, err := in.ReadDir()
	if err != nil {
		return Scan{Err: err}
	}
	seen := map[string]sight{}
	for _, e := range entries {
		if Temporary(e.Name()) {
			s.Temporary = append(s.Temporary, e.Name())
			continue
		}
		info, err := describe(in, e, self)
		if err != nil {
			s.Refused = append(s.Refused, Refused{e.Name(), err})
			continue
		}
		stamp, newest, err := stampOf(in, e.Name(), info)
		if err != nil { // the entry was removed, or is being moved in
			s.Waiting = append(s.Waiting, e.Name())
			continue
		}
		v := f.seen[e.Name()]
		v.see(stamp, now)
		v.complete(newest, now, f.opt.Settle, func() writers { return writersOf(in, e.Name(), info) })
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

// describe describes an entry of the folder in, or the target if the entry is a link. self
// describes the folder. It returns an error if the entry must be refused.
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
		return nil, fmt.Errorf("%s is a symbolic link without a target: %w", in.Path(e.Name()), fs.ErrNotExist)
	case err != nil:
		return nil, err
	case os.SameFile(info, self):
		return nil, fmt.Errorf("%s is a symbolic link to its own folder", in.Path(e.Name()))
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil, &folder.TypeError{Path: in.Path(e.Name()), Type: info.Mode().Type()}
	}
	return info, nil
}

// Temporary reports whether a watched folder ignores the name: a hidden file, an unfinished
// file of a downloader or an editor, or a file that desktops create.
func Temporary(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") || strings.HasSuffix(name, "~") || strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") {
		return true
	}
	endings := []string{".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".aria2", ".!qb", ".!ut", ".!bt", ".bc!", ".opdownload", ".swp", ".swo", ".swx"}
	lower := strings.ToLower(name)
	return slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(lower, e) }) ||
		slices.Contains([]string{"thumbs.db", "desktop.ini"}, lower)
}
