package metainfo

import (
	"bytes"
	"fmt"
	"slices"

	"spate/bencode"
	"spate/internal/units"
)

// entry is one file as it is described in the torrent.
type entry struct {
	path    [][]byte // reused for the next entry
	utf8    [][]byte // the path that is not used, of path and path.utf-8
	link    [][]byte
	pathAt  int // offset of the path that is used, or -1
	length  int64
	at      int // offset of the entry
	hasLen  bool
	hasLink bool
	attr    Attr
	root    *[32]byte
}

// countFiles reads the v1 file list for the first time. It checks everything except the
// values.
func (p *parser) countFiles() int {
	p.info.shuffled = p.takeOrder("info") || p.info.shuffled
	at := p.d.Offset()
	if p.d.Kind() != bencode.List {
		p.fail("info.files", at, "not a list")
		return 0
	}
	n := p.d.SkipCount()
	if p.d.Err() == nil && p.takeOrder("info.files") {
		p.uniqueInFiles(at)
	}
	return n
}

// uniqueInFiles checks that the files of the list at off have no duplicate keys. It is
// called if any keys are out of order.
func (p *parser) uniqueInFiles(off int) {
	d := p.at(off)
	for range d.List {
		if d.Kind() != bencode.Dict {
			continue
		}
		p.uniqueIn(d, "info.files", off)
		if p.err != nil {
			return
		}
	}
}

// v1Single sets the only file of a single-file torrent.
func (p *parser) v1Single(hybrid bool) {
	s := &p.info
	if s.length < 0 {
		p.fail("info.length", s.lengthAt, "negative")
		return
	}
	if _, ok := add(0, s.length); !ok {
		p.fail("info.length", s.lengthAt, "too large")
		return
	}
	p.m.Info.Files = []File{{Length: s.length, Attr: s.attr &^ (AttrPad | AttrSymlink)}}
	if hybrid {
		p.mergeTree([]uint32{0})
	}
}

// v1Files reads the v1 file list. For a hybrid torrent it then reads the file tree.
func (p *parser) v1Files(hybrid bool) {
	if p.info.files == 0 {
		p.fail("info.files", p.info.filesAt, "no files")
		return
	}
	if !p.makeFiles("info.files", p.info.files) {
		return
	}
	var paths []uint32 // offset of the path of each file, for comparison with the file tree
	if hybrid {
		paths = make([]uint32, 0, p.info.files)
	}
	c := cursor{p.b, p.info.filesAt}
	c.enter()
	e := new(entry)
	for total := int64(0); c.more(); {
		if bad := e.read(&c); bad != "" {
			p.fail(fmt.Sprintf("info.files[%d]", len(p.m.Info.Files)), e.at, "%s", bad)
		} else {
			total = p.v1File(e, total)
		}
		if p.err != nil {
			return
		}
		if hybrid {
			paths = append(paths, uint32(e.pathAt))
		}
	}
	if hybrid {
		p.mergeTree(paths)
	}
}

// maxParts is one more than the maximum number of elements of a path.
const maxParts = MaxDepth + 2

// read reads one entry of the v1 file list. bad describes its defect, if it has one.
func (e *entry) read(c *cursor) (bad string) {
	*e = entry{path: e.path[:0], utf8: e.utf8[:0], link: e.link[:0], pathAt: -1, at: c.off}
	if c.next() != 'd' {
		return "not a dictionary"
	}
	utf8At := -1
	ok := true
	for c.enter(); ok && c.more(); {
		switch key := c.str(); string(key) {
		case "length":
			ok = e.readLength(c)
		case "path":
			e.pathAt = c.off
			e.path, ok = c.strings(e.path, maxParts)
		case "path.utf-8":
			utf8At = c.off
			e.utf8, ok = c.strings(e.utf8, maxParts)
		default:
			e.common(key, c)
		}
	}
	if !ok {
		return "length is not an integer, or path is not a list of strings"
	}
	if utf8At >= 0 && len(e.utf8) > 0 {
		e.path, e.utf8, e.pathAt = e.utf8, e.path, utf8At
	}
	return ""
}

func (e *entry) readLength(c *cursor) bool {
	if c.next() != 'i' {
		return false
	}
	e.length, e.hasLen = c.num(), true
	return true
}

// common reads the keys that entries of v1 and v2 share.
func (e *entry) common(key []byte, c *cursor) {
	switch {
	case string(key) == "attr" && c.isString():
		e.attr = ParseAttr(c.str())
	case string(key) == "symlink path" && c.next() == 'l':
		at := c.off
		e.link, e.hasLink = c.strings(e.link, maxParts)
		if !e.hasLink {
			c.off = at
			c.skip()
		}
	default:
		c.skip()
	}
}

// v1File adds one file at offset off, and returns the offset of the next file.
func (p *parser) v1File(e *entry, off int64) int64 {
	i := &p.m.Info
	field := func(name string) string { return fmt.Sprintf("info.files[%d].%s", len(i.Files), name) }
	end, ok := add(off, e.length)
	switch {
	case !e.hasLen && e.attr&AttrSymlink == 0:
		p.fail(field("length"), e.at, "missing")
	case e.length < 0:
		p.fail(field("length"), e.at, "negative")
	case !ok:
		p.fail(field("length"), e.at, "the sum of the lengths exceeds 64 bits")
	case e.pathAt < 0:
		p.fail(field("path"), e.at, "missing")
	default:
		p.addFile(e, off, field)
	}
	return end
}

// addFile adds e as a file at offset off of the byte space.
func (p *parser) addFile(e *entry, off int64, field func(string) string) {
	if len(e.path)-1 > p.o.Limits.Depth {
		p.limit(field("path"), e.at, "more than %s deep", units.Plural(p.o.Limits.Depth, "directory"))
		return
	}
	i := &p.m.Info
	f := File{Length: e.length, Offset: off, Attr: e.attr}
	if f.Pad() {
		f.Attr &^= AttrSymlink
		f.Path = p.padPath(e.path)
	} else {
		p.fileCount++
		if p.fileCount > p.o.Limits.Files {
			p.limit("info.files", e.at, "more than %s", units.Plural(p.o.Limits.Files, "file"))
			return
		}
		changed := false
		f.Path, changed = p.path(e.path)
		if changed {
			i.renamed++
		}
		i.twoNames = i.twoNames || len(e.utf8) > 0 && !slices.EqualFunc(e.utf8, e.path, bytes.Equal)
	}
	if f.IsSymlink() {
		p.addLink(e, &f, field)
	}
	i.Files = append(i.Files, f)
}
