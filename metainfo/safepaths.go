package metainfo

import (
	"math"
	"strings"
)

// SafeName returns the name under which a download stores a file or directory that is called
// name in a torrent.
func SafeName(name string) string { return NamesSafe.SafeName(name) }

// SafeName returns the name under which a download with the policy n stores a file or directory
// that is called name in a torrent.
func (n Names) SafeName(name string) string {
	if s := cleanName(name, n); s != "" {
		return s
	}
	return string(replacement)
}

// SafePaths returns the paths under which a download stores the files of a torrent that have
// the given paths there. All paths are relative to the torrent's name, and their elements are
// separated by '/'.
func SafePaths(paths []string) []string {
	p := newParser(Options{}, nil)
	p.memory = math.MaxInt
	i := &p.m.Info
	for _, s := range paths {
		var raw [][]byte
		for part := range strings.SplitSeq(s, "/") {
			raw = append(raw, []byte(part))
		}
		path, changed := p.path(raw)
		if changed {
			i.renamed++
		}
		i.Files = append(i.Files, File{Path: path})
	}
	p.finishNames()
	safe := make([]string, len(paths))
	for k := range i.Files {
		safe[k] = i.Files[k].DisplayPath()
	}
	return safe
}
