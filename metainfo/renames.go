package metainfo

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Rename is a file whose path is not what the torrent says.
type Rename struct {
	File int      // index in Info.Files
	Raw  [][]byte // the path as it stands in the torrent: bytes from outside, show them quoted
	Path []string // what it was made to
}

// NumRenames returns how many files have a path that is not what the torrent
// says, because that was not safe or not unique.
func (i *Info) NumRenames() int { return i.renamed }

// Renames returns the files whose path is not what the torrent says. raw is the
// info dictionary that i was read from ([MetaInfo.InfoBytes]), which is read
// again: there is no cost to those who do not ask.
func (i *Info) Renames(raw []byte) []Rename {
	if i.renamed == 0 {
		return nil
	}
	var list []Rename
	p := newParser(Options{}, raw)
	p.o.Limits.Tokens = len(raw) + 1
	p.d = p.at(0)
	p.infoDict()
	k := 0
	see := func(e *entry) {
		if k >= len(i.Files) {
			return
		}
		if f := &i.Files[k]; !f.Pad() && !samePart(f.Path, e.path) {
			r := Rename{File: k, Path: f.Path}
			for _, part := range e.path {
				r.Raw = append(r.Raw, slices.Clip(part))
			}
			list = append(list, r)
		}
		k++
	}
	switch {
	case p.d.Err() != nil || i.Single():
	case p.info.filesAt >= 0:
		c, e := cursor{p.b, p.info.filesAt}, new(entry)
		for c.enter(); c.more() && e.read(&c) == ""; {
			see(e)
		}
	case p.info.treeAt >= 0:
		p.walkTree(see)
	}
	return list
}

// RawPaths returns, by the index of the file, the paths of those files that have
// another one here than in the torrent, as the torrent says them, where a file on
// this system could have that path: below the torrent's name, parts separated by
// '/'. Where the torrent was made, that is the path that the file has.
func (i *Info) RawPaths(raw []byte) map[int]string {
	var paths map[int]string
	for _, r := range i.Renames(raw) {
		p := string(bytes.Join(r.Raw, []byte("/")))
		if fs.ValidPath(p) && filepath.IsLocal(filepath.FromSlash(p)) && strings.Count(p, "/") == len(r.Raw)-1 {
			if paths == nil {
				paths = map[int]string{}
			}
			paths[r.File] = p
		}
	}
	return paths
}

// LocalRawName returns the torrent's name as the torrent says it, when that is
// not Name but a file on this system could have it; else "". Where the torrent was
// made, its data has that name.
func (i *Info) LocalRawName() string {
	if n := i.RawName; n != "." && fs.ValidPath(n) && filepath.Base(n) == n && filepath.IsLocal(n) {
		return n
	}
	return ""
}

// samePart reports whether safe is raw.
func samePart(safe []string, raw [][]byte) bool {
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
