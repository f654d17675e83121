package metainfo

import (
	"bytes"
	"fmt"

	"spate/internal/units"
	"spate/merkle"
)

// countTree reads the v2 file tree for the first time and returns the number of its
// files.
func (p *parser) countTree() int {
	p.info.shuffled = p.takeOrder("info") || p.info.shuffled
	return p.countDir()
}

func (p *parser) countDir() int {
	n := 0
	for key := range p.d.Dict {
		if len(key) == 0 {
			n++
			p.d.Skip()
		} else {
			n += p.countDir()
		}
	}
	return n
}

// treeWalk is a walk over the v2 file tree after it was counted.
type treeWalk struct {
	p     *parser
	c     cursor
	path  [][]byte
	e     entry
	visit func(e *entry) // visit is called for every file in order. Its argument is reused for the next file.
}

// walkTree calls visit for every file of the file tree until there is an error.
func (p *parser) walkTree(visit func(e *entry)) {
	w := &treeWalk{p: p, c: cursor{p.b, p.info.treeAt}, visit: visit}
	w.dir()
}

// dir reads the directory w.path. It returns false after an error.
func (w *treeWalk) dir() bool {
	c := &w.c
	if c.next() != 'd' {
		return w.fail("not a dictionary")
	}
	n := 0
	for c.enter(); c.more(); n++ {
		key := c.str()
		switch {
		case len(key) > 0:
			w.path = append(w.path, key)
			if !w.dir() {
				return false
			}
			w.path = w.path[:len(w.path)-1]
		case len(w.path) == 0:
			return w.fail("file without a name")
		case n > 0:
			return w.fail("both a file and a directory")
		case !w.file():
			return false
		case c.next() != 'e':
			return w.fail("both a file and a directory")
		}
	}
	return true
}

func (w *treeWalk) fail(reason string) bool {
	return w.p.fail("info.file tree", w.c.off, "%s", reason)
}

// file reads the properties of the file w.path.
func (w *treeWalk) file() bool {
	e, c := &w.e, &w.c
	*e = entry{path: append(e.path[:0], w.path...), link: e.link[:0], pathAt: c.off, at: c.off}
	if c.next() != 'd' {
		return w.fail("file that is not a dictionary")
	}
	for c.enter(); c.more(); {
		switch key := c.str(); string(key) {
		case "length":
			if !e.readLength(c) {
				return w.fail("length that is not an integer")
			}
		case "pieces root":
			if c.next() != '3' || len(c.b)-c.off < 3 || string(c.b[c.off:c.off+3]) != "32:" {
				return w.fail("pieces root that does not have 32 bytes")
			}
			e.root = (*[32]byte)(c.str())
		default:
			e.common(key, c)
		}
	}
	switch {
	case !e.hasLen && e.attr&AttrSymlink == 0, e.length < 0: // libtorrent writes no length for symbolic links
		return w.fail("file without a length")
	case e.length > 0 && e.root == nil:
		return w.fail("file without a pieces root")
	case e.attr&AttrPad != 0:
		return w.fail("pad file, which is allowed only in a v1 file list")
	case e.length == 0:
		e.root = nil
	}
	w.visit(e)
	return w.p.err == nil
}

// v2Files reads the files of a v2 torrent. Each file that is not empty starts at a
// piece.
func (p *parser) v2Files() {
	i := &p.m.Info
	if p.info.treeFiles == 0 {
		p.fail("info.file tree", p.info.treeAt, "no files")
		return
	}
	if !p.makeFiles("info.file tree", p.info.treeFiles) {
		return
	}
	end := int64(0)
	single := false
	field := func(name string) string { return fmt.Sprintf("info.file tree[%d].%s", len(i.Files), name) }
	p.walkTree(func(e *entry) {
		off := end
		if over := end % i.PieceLength; over > 0 && e.length > 0 {
			off += i.PieceLength - over
		}
		ok := false
		end, ok = add(off, e.length)
		if !ok {
			p.fail(field("length"), e.at, "the sum of the lengths exceeds 64 bits")
			return
		}
		single = p.info.treeFiles == 1 && p.isName(e.path)
		p.addFile(e, off, field)
		if p.err == nil {
			i.Files[len(i.Files)-1].PiecesRoot = e.root
		}
	})
	if p.err == nil && single {
		i.Files[0].Path = nil
		i.renamed = 0
	}
}

// isName reports whether path consists only of the name of the torrent. A v2 torrent with
// such a path is a single file.
func (p *parser) isName(path [][]byte) bool {
	return len(path) == 1 && bytes.Equal(path[0], p.info.name)
}

// mergeTree adds the pieces roots of the v2 file tree to the files of the v1 file list.
// It checks that both describe the same files with the same lengths in the same order,
// and that each file starts at a piece. paths holds the offset of the v1 path of each
// file.
func (p *parser) mergeTree(paths []uint32) {
	const field = "info.file tree"
	i := &p.m.Info
	k := 0 // index in Files
	skipPads := func() {
		for k < len(i.Files) && i.Files[k].Pad() {
			k++
		}
	}
	p.walkTree(func(e *entry) {
		skipPads()
		if k == len(i.Files) {
			p.fail(field, e.at, "the v2 file tree has more files than the v1 file list")
			return
		}
		f := &i.Files[k]
		switch {
		case !p.samePath(e.path, int(paths[k])):
			p.fail(field, e.at, "file %d has another name in the v1 file list", k)
		case f.Length != e.length:
			p.fail(field, e.at, "file %d has %s, but %d in the v1 file list", k, units.Plural(e.length, "byte"), f.Length)
		case f.Length > 0 && f.Offset%i.PieceLength != 0:
			p.fail(field, e.at, "file %d does not start at a piece in the v1 file list", k)
		}
		f.PiecesRoot = e.root
		k++
	})
	skipPads()
	if p.err == nil && k < len(i.Files) {
		p.fail(field, p.info.treeAt, "the v1 file list has more files than the v2 file tree")
	}
}

// samePath reports whether path equals the v1 path at offset off. Offset 0 stands for
// the name of the torrent.
func (p *parser) samePath(path [][]byte, off int) bool {
	if off == 0 {
		return p.isName(path)
	}
	c := cursor{p.b, off}
	c.enter()
	for _, part := range path {
		if !c.more() || !bytes.Equal(c.str(), part) {
			return false
		}
	}
	return !c.more()
}

// pieceLayers reads the piece layers (BEP 52) and compares each with its root. It also
// keeps layers that no file refers to.
func (p *parser) pieceLayers() {
	const field = "piece layers"
	i, m := &p.m.Info, p.m
	if !i.HasV2() {
		return
	}
	if p.layersAt >= 0 && p.b[p.layersAt] == 'd' {
		c := cursor{p.b, p.layersAt}
		m.PieceLayers = make(map[[32]byte][]byte, p.countLayers())
		for c.enter(); c.more(); {
			key, at := c.str(), c.off
			if !c.isString() || len(key) != 32 {
				p.warn(field, at, "an entry that is not a piece layer is ignored")
				c.skip()
				continue
			}
			layer := c.str()
			switch {
			case len(layer) < 2*merkle.HashSize || len(layer)%merkle.HashSize != 0:
				p.warn(field, at, "an entry that is not a piece layer is ignored")
			case merkle.Root(layer, merkle.Layer(i.PieceLength)) != [32]byte(key):
				p.fail(field, at, "a layer does not match its root")
				return
			default:
				m.PieceLayers[[32]byte(key)] = layer
			}
		}
	}
	p.checkLayers()
}

// countLayers returns the number of entries, including malformed ones.
func (p *parser) countLayers() int {
	const least = 3 + 32 + 3 + 64 // minimum number of bytes of an entry
	n := 0
	c := cursor{p.b, p.layersAt}
	for c.enter(); c.more(); n++ {
		c.skip()
		c.skip()
	}
	return min(n, len(p.b)/least)
}

// checkLayers compares the piece layers with the files.
func (p *parser) checkLayers() {
	const field = "piece layers"
	missing, bad := p.m.matchLayers()
	if bad != "" {
		p.fail(field, p.layersAt, "%s", bad)
	} else if missing > 0 && p.m.raw != nil {
		p.warn(field, -1, fmt.Sprintf("missing for %s", units.Plural(missing, "file")))
	}
}

// matchLayers checks that the layer of each file has one hash for each piece, and
// counts the files without a layer.
func (m *MetaInfo) matchLayers() (missing int, bad string) {
	for k := range m.Info.Files {
		f := &m.Info.Files[k]
		if f.PiecesRoot == nil || f.Length <= m.Info.PieceLength {
			continue
		}
		layer, ok := m.PieceLayers[*f.PiecesRoot]
		if n := ceilDiv(f.Length, m.Info.PieceLength); ok && int64(len(layer)) != n*merkle.HashSize {
			return 0, fmt.Sprintf("file %d has %s, but its layer has %s", k, units.Plural(n, "piece"), units.Plural(len(layer)/merkle.HashSize, "hash"))
		} else if !ok {
			missing++
		}
	}
	return missing, ""
}

// verifyLayers checks all piece layers against their roots and the files.
func (m *MetaInfo) verifyLayers() error {
	const field = "piece layers"
	for root, layer := range m.PieceLayers {
		if len(layer)%merkle.HashSize != 0 || merkle.Root(layer, merkle.Layer(m.Info.PieceLength)) != root {
			return &Error{Field: field, Offset: -1, Reason: "a layer does not match its root"}
		}
	}
	if _, bad := m.matchLayers(); bad != "" {
		return &Error{Field: field, Offset: -1, Reason: bad}
	}
	return nil
}
