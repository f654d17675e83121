package daemon

import (
	"os"
	"path/filepath"

	"spate/internal/atomicfile"
)

// setAsideOthers renames the entries of a state directory that are not files although they have
// the names of files, for example a directory at the path of a log. It warns about each.
func (e *Env) setAsideOthers(state string) {
	paths := []string{filepath.Join(state, "lock"), filepath.Join(state, "activity.log")}
	for _, dir := range []string{"tracker", "publish"} { // they contain files only
		entries, err := os.ReadDir(filepath.Join(state, dir))
		if err != nil {
			continue // opening it returns the error
		}
		for _, entry := range entries {
			paths = append(paths, filepath.Join(state, dir, entry.Name()))
		}
	}
	for _, path := range paths {
		if atomicfile.IsAside(path) {
			continue
		}
		switch aside, err := atomicfile.SetAsideOther(path); {
		case err != nil:
			e.Warnf("%s is not a file, and cannot be moved away: %v", path, err)
		case aside != "":
			e.Warnf("%s is not a file: it was moved to %s", path, aside)
		}
	}
}
