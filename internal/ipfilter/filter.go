package ipfilter

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"spate/internal/filetrust"
	"spate/internal/units"
)

// Filter looks addresses up in the lists of files, and reads the files again when they change. It is
// safe for concurrent use.
type Filter struct {
	paths []string
	warn  func(format string, args ...any)
	list  atomic.Pointer[List]
	hits  atomic.Uint64

	mu    sync.Mutex // guards the fields below
	read  []stamp    // the files as the list in use contains them
	found []stamp    // the files as they were found last
}

// stamp tells states of a file apart. The zero stamp is that of a missing file.
type stamp struct {
	size int64
	time time.Time
}

// Status describes a filter.
type Status struct {
	Ranges  int    `json:"ranges"`  // ranges in use
	Skipped int    `json:"skipped"` // lines that could not be read
	Blocked uint64 `json:"blocked"` // connections that were refused since the start
}

// Open reads the lists. warn prints what is wrong with a file although it is used.
func Open(paths []string, warn func(format string, args ...any)) (*Filter, error) {
	f := &Filter{paths: slices.Clone(paths), warn: warn}
	f.read = f.stamps()
	f.found = f.read
	l, err := f.load()
	if err != nil {
		return nil, err
	}
	f.list.Store(l)
	return f, nil
}

// load reads all files.
func (f *Filter) load() (*List, error) {
	l := &List{}
	for _, path := range f.paths {
		skipped := l.Skipped
		l.Skipped = 0
		if err := l.readFile(path, f.warn); err != nil {
			return nil, err
		}
		if l.Skipped > 0 {
			f.warn("IP filter %s: %s cannot be read, first line %d", path, units.Plural(l.Skipped, "line"), l.FirstSkipped)
		}
		l.Skipped += skipped
	}
	l.Done()
	return l, nil
}

// readFile reads the list in a file.
func (l *List) readFile(path string, warn filetrust.Warn) error {
	file, err := filetrust.Open(path, filetrust.Power, warn)
	if err != nil {
		return fmt.Errorf("IP filter: %w", err)
	}
	defer file.Close()
	if err := l.Read(file); err != nil {
		return fmt.Errorf("IP filter %s: %w", path, err)
	}
	return nil
}

// stamps returns the present states of the files.
func (f *Filter) stamps() []stamp {
	all := make([]stamp, len(f.paths))
	for i, path := range f.paths {
		if info, err := os.Stat(path); err == nil {
			all[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return all
}

// Blocks reports whether the lists contain an address, and counts if they do.
func (f *Filter) Blocks(a netip.Addr) bool {
	if !f.list.Load().Contains(a) {
		return false
	}
	f.hits.Add(1)
	return true
}

// Status returns the number of ranges and of refused connections.
func (f *Filter) Status() Status {
	l := f.list.Load()
	return Status{Ranges: l.Len(), Skipped: l.Skipped, Blocked: f.hits.Load()}
}

// Refresh reads the files again if one has changed since they were read, and is the same as at the
// last call, so that no half-written file is read. It reports whether it did. After an error the
// lists that are in use stay.
func (f *Filter) Refresh() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.stamps()
	settled := slices.Equal(now, f.found)
	f.found = now
	if !settled || slices.Equal(now, f.read) {
		return false, nil
	}
	f.read = now
	l, err := f.load()
	if err != nil {
		return false, err
	}
	f.list.Store(l)
	return true, nil
}

// Run calls Refresh at an interval until ctx ends, and changed after each change.
func (f *Filter) Run(ctx context.Context, every time.Duration, changed func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch read, err := f.Refresh(); {
		case err != nil:
			f.warn("%v; the ranges that were read before stay in use", err)
		case read:
			changed()
		}
	}
}
