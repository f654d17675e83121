package metainfo

import (
	"fmt"

	"spate/bencode"
)

// entry is one file as the torrent says it.
type entry struct {
	path    [][]byte // reused for the next entry
	utf8    [][]byte // path.utf-8
	link    [][]byte
	pathAt  int // offset of the path that counts, or -1
	length  int64
	at      int // offset of the entry
	hasLen  bool
	hasLink bool
	attr    Attr
	root    *[32]byte
}

// countFiles reads the v1 list of files for the first time: everything is
// checked but the values.
func (p *parser) countFiles() int {
	p.info.shuffled = p.takeOrder("info") || p.info.shuffled
	n := 0
	for range p.d.List {
		at := p.d.Offset()
		n++
		for range p.d.Dict {
		}
		if p.takeOrder("info.files") {
			p.uniqueKeys("info.files", at)
		}
	}
	return n
}

// v1Single makes the only file of a torrent that is not a directory.
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

// v1Files reads the v1 list of files. With hybrid, the file tree follows.
func (p *parser) v1Files(hybrid bool) {
	if p.info.files == 0 {
		p.fail("info.files", p.info.filesAt, "no files")
		return
	}
	if !p.makeFiles("info.files", p.info.files) {
		return
	}
	var paths []uint32 // offset of each file's path, to compare with the tree
	if hybrid {
		paths = make([]uint32, 0, p.info.files)
	}
	d, base := p.at(p.info.filesAt), p.info.filesAt
	e := new(entry)
	total := int64(0)
	for range d.List {
		e.read(d, base)
		if d.Err() != nil {
			break
		}
		total = p.v1File(e, total)
		if p.err != nil {
			return
		}
		if hybrid {
			paths = append(paths, uint32(e.pathAt))
		}
	}
	if d.Err() != nil {
		p.entryError(d, base)
		return
	}
	if hybrid {
		p.mergeTree(paths)
	}
}

// entryError reports an error that d had in the list of files that starts at
// base.
func (p *parser) entryError(d *bencode.Decoder, base int) {
	field := fmt.Sprintf("info.files[%d]", len(p.m.Info.Files))
	p.base += base
	p.syntax(field, d)
	p.base -= base
}

// read reads one entry of the v1 list.
func (e *entry) read(d *bencode.Decoder, base int) {
	*e = entry{path: e.path[:0], utf8: e.utf8[:0], link: e.link[:0], pathAt: -1, at: base + d.Offset()}
	utf8At := -1
	for key := range d.Dict {
		switch string(key) {
		case "length":
			e.length, e.hasLen = d.Int(), true
		case "path":
			e.pathAt = base + d.Offset()
			e.path = parts(d, e.path)
		case "path.utf-8":
			utf8At = base + d.Offset()
			e.utf8 = parts(d, e.utf8)
		default:
			e.common(string(key), d)
		}
	}
	if utf8At >= 0 && len(e.utf8) > 0 {
		e.path, e.utf8, e.pathAt = e.utf8, e.path, utf8At
	}
}

// common reads what entries of v1 and v2 have in common.
func (e *entry) common(key string, d *bencode.Decoder) {
	switch {
	case key == "attr" && d.Kind() == bencode.String:
		e.attr = ParseAttr(d.Bytes())
	case key == "symlink path" && d.Kind() == bencode.List:
		e.link, e.hasLink = parts(d, e.link), true
	}
}

// parts appends the strings of a list. It stops at one more than a path may
// have.
func parts(d *bencode.Decoder, list [][]byte) [][]byte {
	for range d.List {
		if s := d.Bytes(); len(list) <= MaxDepth+1 {
			list = append(list, s)
		}
	}
	return list
}

// v1File adds one file that starts at off, and returns where the next one does.
func (p *parser) v1File(e *entry, off int64) int64 {
	i := &p.m.Info
	field := func(name string) string { return fmt.Sprintf("info.files[%d].%s", len(i.Files), name) }
	end, ok := add(off, e.length)
	switch {
	case !e.hasLen:
		p.fail(field("length"), e.at, "missing")
	case e.length < 0:
		p.fail(field("length"), e.at, "negative")
	case !ok:
		p.fail(field("length"), e.at, "the sizes add up to more than 64 bits")
	case e.pathAt < 0:
		p.fail(field("path"), e.at, "missing")
	default:
		p.addFile(e, off, field)
	}
	return end
}

// addFile appends e as a file at off of the byte space.
func (p *parser) addFile(e *entry, off int64, field func(string) string) {
	if len(e.path)-1 > p.o.Limits.Depth {
		p.limit(field("path"), e.at, "more than %d directories deep", p.o.Limits.Depth)
		return
	}
	i := &p.m.Info
	f := File{Length: e.length, Offset: off, Attr: e.attr}
	if f.Pad() {
		f.Attr &^= AttrSymlink
	}
	changed := false
	f.Path, changed = p.path(e.path)
	if changed && !f.Pad() {
		p.renamed(len(i.Files))
	}
	if f.IsSymlink() {
		p.addLink(e, &f, field)
	}
	i.Files = append(i.Files, f)
}

// renamed counts a file whose path is not the torrent's.
func (p *parser) renamed(int) { p.m.Info.renamed++ }
