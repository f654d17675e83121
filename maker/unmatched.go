package maker

import (
	"io/fs"
	"path/filepath"

	"spate/internal/folder"
)

// Unmatched is a pattern of [Options].Include that selects no file, or a pattern of
// [Options].Exclude that matches nothing.
type Unmatched struct {
	Pattern string
	Include bool // false: a pattern of Exclude
}

// counted is a list of patterns that records which of them have matched.
type counted struct {
	globs
	used []bool // by index in globs
}

func parseCounted(patterns []string) (counted, error) {
	list, err := parseGlobs(patterns)
	return counted{list, make([]bool, len(list))}, err
}

// match is like globs.match, and records every pattern that matches rel.
func (c counted) match(rel string) bool {
	if len(c.globs) == 0 {
		return false
	}
	found := false
	for i := range c.globs {
		if c.used[i] && found {
			continue
		}
		if c.globs[i : i+1].match(rel) {
			c.used[i], found = true, true
		}
	}
	return found
}

// unused returns the patterns that have not matched.
func (c counted) unused() (list []string) {
	for i, used := range c.used {
		if !used {
			list = append(list, c.globs[i].pattern)
		}
	}
	return list
}

// maxPruned bounds the entries of left out directories that are searched for the matches of
// exclude patterns.
const maxPruned = 100_000

// matchPruned compares the patterns of Exclude that have not matched yet with the contents of
// the directories that the walk left out: .git/* has an effect if .git is left out anyway.
func (w *walker) matchPruned() {
	n := 0
	for _, dir := range w.pruned {
		// A directory that cannot be read is left out anyway.
		_ = folder.In(w.root).Walk(filepath.FromSlash(dir), func(_ *folder.Folder, rel string, _ fs.FileInfo, _ error) error {
			n++
			if n > maxPruned || len(w.o.exclude.unused()) == 0 {
				return fs.SkipAll
			}
			if rel != "" {
				w.o.exclude.match(joinRel(dir, filepath.ToSlash(rel)))
			}
			return nil
		})
	}
}

// reportUnmatched calls unmatched for each pattern that has not matched.
func (o *scanOptions) reportUnmatched(unmatched func(Unmatched)) {
	if unmatched == nil {
		return
	}
	for _, p := range o.include.unused() {
		unmatched(Unmatched{p, true})
	}
	for _, p := range o.exclude.unused() {
		unmatched(Unmatched{p, false})
	}
}
