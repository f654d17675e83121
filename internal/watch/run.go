package watch

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// RunOptions configures [Run].
type RunOptions struct {
	// Settle is the time without further changes after which look is called. Changes
	// that continue delay the call up to ten times as long, or until the call that
	// Every requires. It must be positive.
	Settle time.Duration
	// Every is the maximum time between two calls of look, for changes that the system
	// does not report. It must be positive.
	Every time.Duration
	// Matters reports whether a change matters; nil means that all do.
	Matters func(Change) bool
	// Log receives a warning when changes cannot be reported; nil discards it.
	Log *slog.Logger
}

// Change is a change in a watched directory: an entry was created, removed, renamed or
// changed.
type Change struct {
	Path string
	// Content means that the content of a file was written. Attributes means that
	// nothing changed except the mode, the owner or the times.
	Content, Attributes bool
}

// Dirs is the set of directories that [Run] watches. It belongs to the function look.
type Dirs struct {
	w       *fsnotify.Watcher // nil if the system cannot report changes
	watched map[string]bool   // false for a directory that could not be watched
	opt     RunOptions
	again   time.Duration
}

// Run calls look at once, after changes in the directories that look adds to its argument,
// and at the latest RunOptions.Every after the last call, until ctx is done. It does not
// watch subdirectories.
//
// To watch a file, add its directory, because another file may replace the file. Ignore
// other entries with RunOptions.Matters.
func Run(ctx context.Context, o RunOptions, look func(*Dirs)) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Dirs{watched: map[string]bool{}, opt: o}
	var events <-chan fsnotify.Event
	var failures <-chan error
	w, err := fsnotify.NewWatcher()
	if err != nil {
		o.Log.Warn("changes of files are noticed late", "every", o.Every, "error", err)
	} else {
		defer w.Close()
		d.w, events, failures = w, w.Events, w.Errors
	}
	s := schedule{settle: o.Settle}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			if e.Op&(fsnotify.Remove|fsnotify.Rename) != 0 {
				delete(d.watched, filepath.Clean(e.Name)) // the system no longer watches it
			}
			c := Change{Path: e.Name, Content: e.Has(fsnotify.Write), Attributes: e.Op == fsnotify.Chmod}
			if o.Matters == nil || o.Matters(c) {
				timer.Reset(s.changed(time.Now()))
			}
		case err := <-failures:
			o.Log.Warn("changes of files may be noticed late", "every", o.Every, "error", err)
			clear(d.watched)
			timer.Reset(s.changed(time.Now()))
		case <-timer.C:
			d.again = o.Every
			look(d)
			timer.Reset(s.looked(time.Now(), d.again))
		}
	}
}

// Add watches a directory. It does nothing if the directory is watched already. If it
// cannot be watched, Add logs that once; look is still called after RunOptions.Every. A
// directory that does not exist is not logged.
func (d *Dirs) Add(dir string) {
	dir = filepath.Clean(dir)
	was, known := d.watched[dir]
	if d.w == nil || was {
		return
	}
	err := d.w.Add(dir)
	if err != nil && !known && !errors.Is(err, fs.ErrNotExist) {
		d.opt.Log.Warn("changes in this directory are noticed late", "path", dir, "every", d.opt.Every, "error", err)
	}
	d.watched[dir] = err == nil
}

// Remove stops watching a directory.
func (d *Dirs) Remove(dir string) {
	dir = filepath.Clean(dir)
	if d.w != nil && d.watched[dir] {
		d.w.Remove(dir) // Remove fails if the system no longer watches the directory
	}
	delete(d.watched, dir)
}

// Again makes Run call look again after the given time, if that is earlier than the next
// regular call. It applies to the next call only.
func (d *Dirs) Again(after time.Duration) { d.again = min(d.again, after) }

// maxSettle limits the delay of a call by changes that continue, in multiples of
// RunOptions.Settle.
const maxSettle = 10

// schedule computes the time of the next call of look.
type schedule struct {
	settle  time.Duration
	due     time.Time // the latest time of the next call
	pending bool      // something has changed since the last call
}

// changed records a change and returns the time until the next call.
func (s *schedule) changed(now time.Time) time.Duration {
	if latest := now.Add(maxSettle * s.settle); !s.pending && (s.due.IsZero() || latest.Before(s.due)) {
		s.due = latest
	}
	s.pending = true
	return max(min(s.settle, s.due.Sub(now)), 0)
}

// looked records a call of look, and returns the time until the next one. again is the time
// that look asked for.
func (s *schedule) looked(now time.Time, again time.Duration) time.Duration {
	s.due, s.pending = now.Add(again), false
	return again
}
