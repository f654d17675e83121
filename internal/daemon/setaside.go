package daemon

import (
	"io/fs"
	"os"
	"path/filepath"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/filetrust"
)

// stateEntries lists the entries of a state directory and their types, as patterns of
// [filepath.Match]. Entries that match none of them are ignored. A directory comes before its
// entries.
var stateEntries = []struct {
	pattern string
	kind    fs.FileMode // 0: a file
}{
	{"lock", 0}, {"activity.log", 0}, {TokensFile, 0}, {APITokensFile, 0}, {APITokensUsedFile, 0}, {"api.sock", fs.ModeSocket},
	{"tracker", fs.ModeDir}, {"tracker/*", 0},
	{"publish", fs.ModeDir}, {"publish/*", 0},
	{"catalog", fs.ModeDir}, {"catalog/*.db*", 0}, {"catalog/releases", fs.ModeDir}, {"catalog/releases/*", 0},
	{"torrents", fs.ModeDir}, {"torrents/*", 0}, {"downloads", fs.ModeDir},
	{"uploads", fs.ModeDir}, {"uploads/incoming", fs.ModeDir}, {"uploads/published", fs.ModeDir}, {"limits.json", 0},
	{"versions", fs.ModeDir}, {"certificates", fs.ModeDir},
	{"ports", fs.ModeDir}, {"ports/*.lock", 0}, {"ports/*.json", 0},
	{"run", fs.ModeDir}, {"run/*.sock", fs.ModeSocket},
	{"get", fs.ModeDir}, {"get/*.lock", 0}, {"get/*.json", 0}, {"get/*.ledger", 0}, {"get/*.nodes", 0},
	{"get/????????????????????", fs.ModeDir}, // keyLength characters
}

// PrepareState checks a state directory before a process opens files in it. It warns if other users
// can change the directory, and returns an error if another user has planted it in a directory such
// as /tmp. It renames the entries that have another type than they should have, for example a
// directory at the path of a log, and warns about each.
func (e *Env) PrepareState(state string) error {
	if err := filetrust.Check(state, filetrust.Power, e.Warnf); err != nil {
		return fault.WithSetting(err, "state")
	}
	if info, err := os.Stat(state); err == nil && !info.IsDir() {
		return fault.WithSetting(fault.New(fault.Exists, "", "the state directory %s is a file", state), "state")
	}
	for _, s := range stateEntries {
		dir, pattern := filepath.Split(filepath.FromSlash(s.pattern))
		e.setAsideIn(filepath.Join(state, dir), pattern, s.kind)
	}
	return nil
}

// setAsideIn renames the entries of the directory dir that match pattern and have another type
// than kind, and warns about each.
func (e *Env) setAsideIn(dir, pattern string, kind fs.FileMode) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // opening it returns the error
	}
	what, setAside := "a file", atomicfile.SetAsideOther
	switch kind {
	case fs.ModeDir:
		what, setAside = "a directory", atomicfile.SetAsideNonDir
	case fs.ModeSocket:
		what, setAside = "a socket", atomicfile.SetAsideNonSocket
	}
	for _, entry := range entries {
		if matches, _ := filepath.Match(pattern, entry.Name()); !matches || entry.Type() == kind || atomicfile.IsAside(entry.Name()) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		switch aside, err := setAside(path); {
		case err != nil:
			e.Warnf("%s is not %s, and cannot be moved away: %v", path, what, err)
		case aside != "":
			e.Warnf("%s is not %s: it was moved to %s", path, what, aside)
		}
	}
}
