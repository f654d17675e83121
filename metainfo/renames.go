package metainfo

import (
	"slices"
)

// Rename is a file whose path differs from the one in the torrent.
type Rename struct {
	File int      // index in Info.Files
	Raw  [][]byte // original path; it may contain any bytes and must be quoted when shown
	Path []string // new path
}

// NumRenames returns the number of files whose original path was unsafe or not unique
// and was replaced.
func (i *Info) NumRenames() int { return i.renamed }

// Renames returns the files whose path was replaced. raw must be the info dictionary from
// which i was parsed ([MetaInfo.InfoBytes]). Renames parses raw again, so that an Info
// takes no memory for the original paths.
func (i *Info) Renames(raw []byte) []Rename {
	if i.renamed == 0 {
		return nil
	}
	var list []Rename
	i.walkRaw(raw, func(k int, e *entry) {
		if f := &i.Files[k]; !f.Pad() && !equalPath(f.Path, e.path) {
			r := Rename{File: k, Path: f.Path}
			for _, part := range e.path {
				r.Raw = append(r.Raw, slices.Clip(part))
			}
			list = append(list, r)
		}
	})
	return list
}

// walkRaw parses raw again, from which i was parsed, and calls see for each file with its
// index. It returns the parser with the name of the torrent.
func (i *Info) walkRaw(raw []byte, see func(k int, e *entry)) *parser {
	p := newParser(Options{}, raw)
	p.o.Limits.Tokens = len(raw) + 1
	p.d = p.at(0)
	p.infoDict()
	k := 0
	next := func(e *entry) {
		if k < len(i.Files) {
			see(k, e)
		}
		k++
	}
	switch {
	case p.d.Err() != nil || i.Single():
	case p.info.filesAt >= 0:
		c, e := cursor{p.b, p.info.filesAt}, new(entry)
		for c.enter(); c.more() && e.read(&c) == ""; {
			next(e)
		}
	case p.info.treeAt >= 0:
		p.walkTree(next)
	}
	return p
}

// equalPath reports whether safe and raw are the same path.
func equalPath(safe []string, raw [][]byte) bool {
	if len(safe) != len(raw) {
		return false
	}
	for k := range safe {
		if safe[k] != string(raw[k]) {
			return false
		}
	}
	return true
}
