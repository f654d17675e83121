package classic

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"spate"
	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/torrentfile"
	"spate/tracker/swarm"
)

// dfileMemory keeps the counts of completions in the file that --dfile names, in the format of
// bttrack, so that spate and bttrack can read each other's files. It implements [daemon.Memory].
type dfileMemory struct {
	path      string
	completed map[spate.InfoHash]uint32 // the counts in the file
}

// stateOf returns the path of the state directory beside the file at path.
func stateOf(path string) string { return atomicfile.Derived(path, ".d") }

// state returns the path of the state directory.
func (d *dfileMemory) state() string { return stateOf(d.path) }

// isDFileDir reports whether --dfile names a state directory instead of a file. A directory that
// has taken the place of a file is none.
func isDFileDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && (isTracker(path) || !isTracker(stateOf(path)))
}

// isTracker reports whether a tracker has saved its state in dir.
func isTracker(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "tracker"))
	return err == nil
}

// errEmpty is the damage of a file without content: a tracker always writes a dictionary.
var errEmpty = errors.New("it is empty")

// read reads the file. A damaged file is renamed if spate has used it before, as the directory
// beside it shows: the tracker restores the counts from that directory. Otherwise the file may be
// anything that the user named, and read returns an error and leaves the file unchanged.
func (d *dfileMemory) read(warnf func(format string, args ...any)) error {
	_, err := os.Lstat(d.state())
	known := err == nil
	if aside, err := atomicfile.SetAsideNonDir(d.state()); err != nil {
		return err
	} else if aside != "" {
		warnf("%s is not a directory: it was moved to %s", d.state(), aside)
	}
	load := func(b []byte) (err error) {
		if len(b) == 0 {
			return errEmpty
		}
		d.completed, err = ParseDFile(b)
		return err
	}
	if known {
		err = atomicfile.Load(d.path, MaxDFile, load)
		var damaged *atomicfile.DamagedError
		if errors.As(err, &damaged) {
			warnf("%v; the counts in %s are used", err, d.state())
			return nil
		}
	} else {
		var b []byte
		if b, err = folder.ReadNamed(d.path, MaxDFile); err == nil {
			err = load(b)
		}
	}
	var large *folder.SizeError
	var noFile *folder.TypeError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return torrentfile.CheckTarget(d.path, true)
	case err == nil, errors.Is(err, errEmpty):
		return nil
	case errors.As(err, &large), errors.As(err, &noFile):
		return fault.WithHint(&fault.Error{Code: fault.BadData, Err: err}, "name another file with --dfile")
	case isPathError(err):
		return err
	}
	return fault.New(fault.BadData, "the file was not changed; name another file with --dfile", "%s is not the state file of a tracker: %w", d.path, err)
}

// isPathError reports whether err is an error of the file system.
func isPathError(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}

// Load implements [daemon.Memory].
func (d *dfileMemory) Load(t *swarm.Table) error {
	for h, c := range d.completed {
		if err := t.SetCompleted(h, c); err != nil {
			return fmt.Errorf("%s: %w", d.path, err)
		}
	}
	d.completed = nil
	return d.Save(t)
}

// Save implements [daemon.Memory].
func (d *dfileMemory) Save(t *swarm.Table) error {
	completed := map[spate.InfoHash]uint32{}
	for st := range t.All() {
		if st.Completed > 0 {
			completed[st.InfoHash] = st.Completed
		}
	}
	path, err := filepath.Abs(d.path)
	if err != nil {
		return err
	}
	return torrentfile.Write(path, AppendDFile(nil, completed), true)
}
