package watch

import (
	"context"
	"fmt"
	"io/fs"
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

// CheckWriters returns a [*WrittenError] if a program has the file name in the folder in, or
// a file below the directory name, open for writing. It returns nil if the system does not
// tell, or if the file cannot be read.
func CheckWriters(in *folder.Folder, name string) error {
	info, err := in.Stat(name)
	if err != nil {
		return nil // the caller finds the error when it reads the data
	}
	if who, rel := writersOf(in, name, info); who == someWriters {
		return &WrittenError{in.Path(filepath.Join(name, rel))}
	}
	return nil
}

// CheckNamed is like [CheckWriters] for a path that the user chose, and follows links.
func CheckNamed(path string) error {
	in, name, err := openNamed(path)
	if err != nil {
		return nil
	}
	defer in.Close()
	return CheckWriters(in, name)
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

// Wait waits until the file or the directory at path is complete: no program has a file of it
// open for writing, and it did not change for a while. The rule is that of a [Folder].
// Wait follows links, because the user chose path. It returns the error of reading path, or
// the cause when ctx ends.
func Wait(ctx context.Context, path string, opt WaitOptions) error {
	if opt.Settle <= 0 {
		opt.Settle = DefaultSettle
	}
	var v sight
	ticker := time.NewTicker(max(opt.Settle/10, quiet))
	defer ticker.Stop()
	for told := false; ; told = true {
		done, err := look(path, &v, opt)
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

// look updates v with the state of path, and reports whether it is complete.
func look(path string, v *sight, opt WaitOptions) (bool, error) {
	in, name, err := openNamed(path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	info, err := in.Stat(name)
	if err != nil {
		return false, err
	}
	stamp, newest, err := stampOf(in, name, info)
	if err != nil {
		return false, err
	}
	now := time.Now()
	v.see(stamp, now)
	if !opt.Quiet && !info.IsDir() {
		if who, _ := writersOf(in, name, info); who == noWriters {
			return true, nil
		}
	}
	return v.complete(in, name, info, newest, now, opt.Settle), nil
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

// complete reports whether the entry name, which info describes, is complete. newest is the
// time of its last change. An entry that was complete stays so until its stamp changes.
func (v *sight) complete(in *folder.Folder, name string, info fs.FileInfo, newest, now time.Time, settle time.Duration) bool {
	if !v.done {
		settled := now.Sub(v.since) >= settle || !newest.After(now) && now.Sub(newest) >= settle
		if settled {
			who, _ := writersOf(in, name, info)
			v.done = who != someWriters
		}
	}
	return v.done
}
