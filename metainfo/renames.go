package metainfo

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
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
	p := newParser(Options{}, raw)
	p.d = p.at(0)
	p.infoDict()
	k := 0
	see := func(e *entry) {
		if k >= len(i.Files) {
			return
		}
		if f := &i.Files[k]; !f.Pad() && !equalPath(f.Path, e.path) {
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

// RawPaths returns the original path of each file whose path was replaced, by file index.
// It leaves out paths that are not valid on this system. A path is relative to the
// torrent's name and its elements are separated by '/'. The files have these paths on the
// machine where the torrent was made.
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

// LocalRawName returns the original name of the torrent, which the data has on the machine
// where the torrent was made. It returns "" if the name was not replaced, or if the
// original name is not a valid file name on this system.
func (i *Info) LocalRawName() string {
	if n := i.RawName; n != "." && fs.ValidPath(n) && filepath.Base(n) == n && filepath.IsLocal(n) {
		return n
	}
	return ""
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
