package watch

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"spate/internal/folder"
)

// DefaultSettle is the time for which an entry must not change before it is complete.
const DefaultSettle = 3 * time.Second

// writers says whether a process has a file open for writing.
type writers uint8

const (
	unknownWriters writers = iota // the system does not tell
	noWriters
	someWriters
)

// WrittenError is returned for a file that a program has open for writing.
type WrittenError struct{ Path string }

// Error implements error.
func (e *WrittenError) Error() string { return fmt.Sprintf("%s is still being written", e.Path) }

// Data lists the files of which data consists, with their states. A [maker.Selection] is one.
type Data interface {
	// Paths yields the paths of the files below the data, with slashes; "" is the data
	// itself, if it is a file.
	Paths() iter.Seq[string]
	// Stamp returns a hash of the paths and states of the files, and the time of the last
	// change of a file or of a directory that contains one.
	Stamp() (stamp string, newest time.Time)
	// Single reports whether the data is a single file.
	Single() bool
}

// CheckWriters returns a [*WrittenError] if a program has a file open for writing that belongs to
// the data name in the folder in. paths are as in [Data.Paths]. It returns nil if the system does
// not tell, or if the files cannot be read: the caller finds the error when it reads the data.
func CheckWriters(in *folder.Folder, name string, paths iter.Seq[string]) error {
	for try := 1; ; try++ {
		who, path := writersOfPaths(in, name, paths)
		switch {
		case who != someWriters:
			return nil
		case try == writersTries:
			return &WrittenError{in.Path(path)}
		}
		time.Sleep(writersPause)
	}
}

// CheckWriters looks several times, because a process that is being started has the files of its
// parent open for a moment.
const (
	writersTries = 10
	writersPause = 50 * time.Millisecond
)

// CheckNamed is like [CheckWriters] for a path that the user chose, and follows links.
func CheckNamed(path string, paths iter.Seq[string]) error {
	in, name, err := openNamed(path)
	if err != nil {
		return nil
	}
	defer in.Close()
	return CheckWriters(in, name, paths)
}

// writersOfPaths reports whether a process has a file of data open for writing, and its path in
// the folder.
func writersOfPaths(in *folder.Folder, name string, paths iter.Seq[string]) (found writers, path string) {
	found = noWriters
	for rel := range paths {
		path := filepath.Join(name, filepath.FromSlash(rel))
		switch fileWriters(in, path) {
		case someWriters:
			return someWriters, path
		case unknownWriters:
			found = unknownWriters
		}
	}
	return found, ""
}

// WaitOptions are the settings of [Wait]. The zero value means the defaults.
type WaitOptions struct {
	// Settle is the time without changes after which the data is complete. 0 means
	// [DefaultSettle].
	Settle time.Duration
	// Quiet requires this time for every file. Without it, a file is complete at once if the
	// system reports that no program has it open for writing.
	Quiet bool
	// Waiting is called once if the data is not complete yet; nil: no call.
	Waiting func()
}

// Wait waits until the data at path is complete: no program has a file of it open for writing,
// and it did not change for a while. The rule is that of a [Folder], but files that do not
// belong to the data do not matter. Wait follows links, because the user chose path. It calls
// list each time it looks, and returns its error or the cause when ctx ends.
func Wait(ctx context.Context, path string, opt WaitOptions, list func() (Data, error)) error {
	if opt.Settle <= 0 {
		opt.Settle = DefaultSettle
	}
	var v sight
	ticker := time.NewTicker(max(opt.Settle/10, quiet))
	defer ticker.Stop()
	for told := false; ; told = true {
		data, err := list()
		if err != nil {
			return err
		}
		done, err := look(path, data, &v, opt)
		if done || err != nil {
			return err
		}
		if !told && opt.Waiting != nil {
			opt.Waiting()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// look updates v with the state of the data at path, and reports whether it is complete.
func look(path string, data Data, v *sight, opt WaitOptions) (bool, error) {
	in, name, err := openNamed(path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	stamp, newest := data.Stamp()
	now := time.Now()
	v.see(stamp, now)
	written := func() writers { who, _ := writersOfPaths(in, name, data.Paths()); return who }
	if !opt.Quiet && data.Single() && written() == noWriters {
		return true, nil
	}
	return v.complete(newest, now, opt.Settle, written), nil
}

// openNamed opens the directory that contains path, and returns the name of path in it.
func openNamed(path string) (*folder.Folder, string, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil, "", err
	}
	name := filepath.Base(path)
	if filepath.Dir(path) == path {
		name = "." // the root of the file system
	}
	in, err := folder.Open(filepath.Dir(path), folder.Options{FollowLinks: true})
	return in, name, err
}

// sight is the state of an entry when it was last looked at.
type sight struct {
	stamp string
	since time.Time // when this stamp was first seen
	done  bool      // the entry was complete
}

// see records the present stamp of the entry.
func (v *sight) see(stamp string, now time.Time) {
	if v.stamp != stamp {
		*v = sight{stamp: stamp, since: now}
	}
}

// complete reports whether the entry is complete. newest is the time of its last change, and
// written tells whether a process has a file of it open for writing. An entry that was complete
// stays so until its stamp changes.
func (v *sight) complete(newest, now time.Time, settle time.Duration, written func() writers) bool {
	if !v.done && (now.Sub(v.since) >= settle || !newest.After(now) && now.Sub(newest) >= settle) {
		v.done = written() != someWriters
	}
	return v.done
}
