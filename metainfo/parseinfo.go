package metainfo

import (
	"crypto/sha1"
	"encoding/hex"
	"math"
	"strconv"

	"spate/bencode"
)

// infoSpans is what the first pass over the info dictionary leaves for the
// second one: small values, and where the large ones are. Offsets are of values
// in the parser's input, -1 for none.
type infoSpans struct {
	start    int
	name     []byte
	nameUTF8 []byte
	length   int64
	lengthAt int
	filesAt  int
	treeAt   int
	piecesAt int
	plAt     int // of "piece length"
	metaAt   int // of "meta version"
	files    int // entries of the v1 list
	leaves   int // files of the v2 tree
	attr     Attr
	unsorted int  // offset of the first key out of order, or -1
	shuffled bool // the keys of info itself are out of order, or of something unknown in it
}

// infoDict reads the info dictionary once: small values are kept, lists of files
// are checked and counted.
func (p *parser) infoDict() {
	s := &p.info
	*s = infoSpans{start: p.d.Offset(), lengthAt: -1, filesAt: -1, treeAt: -1, piecesAt: -1, plAt: -1, metaAt: -1, unsorted: -1}
	if p.d.Kind() != bencode.Dict {
		p.fail("info", s.start, "not a dictionary")
		return
	}
	for key := range p.d.Dict {
		p.infoKey(key, p.d.Offset())
	}
	if p.d.Err() != nil {
		p.syntax("info", p.d)
		return
	}
	p.m.InfoBytes = p.b[s.start:p.d.Offset():p.d.Offset()]
	if p.takeOrder("info") || s.shuffled {
		p.uniqueKeys("info", s.start)
	}
}

// infoKey reads one value of the info dictionary.
func (p *parser) infoKey(name []byte, at int) {
	i, s := &p.m.Info, &p.info
	switch string(name) {
	case "name":
		s.name = p.required()
	case "name.utf-8":
		if p.is(bencode.String, "info.name.utf-8") {
			s.nameUTF8 = p.d.Bytes()
		}
	case "piece length":
		s.plAt, i.PieceLength = at, p.d.Int()
	case "pieces":
		s.piecesAt, i.Pieces = at, p.required()
	case "length":
		s.lengthAt, s.length = at, p.d.Int()
	case "meta version":
		s.metaAt = at
		if v := p.d.Int(); v < 1 || v > 2 {
			p.fail("info.meta version", at, "version %d is not known here", v)
		} else {
			i.MetaVersion = int(v)
		}
	case "files":
		s.filesAt, s.files = at, p.countFiles()
	case "file tree":
		s.treeAt, s.leaves = at, p.countTree()
	case "private":
		i.Private = p.private(at)
	case "source":
		i.Source = p.text("info.source", maxText)
	case "similar":
		i.Similar = p.similar("info.similar")
	case "collections":
		i.Collections = p.texts("info.collections")
	case "attr":
		if p.is(bencode.String, "info.attr") {
			s.attr = ParseAttr(p.d.Bytes())
		}
	}
	if p.d.Err() != nil {
		p.syntax("info."+known(string(name)), p.d)
	}
}

// known returns key, which may be anything, as part of a field's name.
func known(key string) string {
	if len(key) > 32 || !plain(key) {
		return "(unknown key)"
	}
	return key
}

// required reads a string that a torrent cannot be used without.
func (p *parser) required() []byte {
	b := p.d.Bytes()
	if b == nil && p.d.Err() == nil {
		return []byte{}
	}
	return b
}

// private reads the flag of BEP 27, for which some write a string.
func (p *parser) private(at int) bool {
	switch p.d.Kind() {
	case bencode.Int:
		return p.d.Int() != 0
	case bencode.String:
		p.warn("info.private", at, "a string instead of an integer")
		s := string(p.d.Bytes())
		return s != "" && s != "0"
	}
	p.warn("info.private", at, "neither 0 nor 1: taken for 1")
	return true
}

// finishInfo checks the info dictionary as a whole and reads its files.
func (p *parser) finishInfo() bool {
	i, s := &p.m.Info, &p.info
	v2 := i.MetaVersion >= 2
	switch {
	case v2 && s.treeAt < 0:
		return p.fail("info.file tree", -1, "missing in a torrent of version 2")
	case !v2 && s.treeAt >= 0:
		return p.fail("info.meta version", -1, "missing in a torrent with a file tree")
	case v2 && s.unsorted >= 0:
		return p.fail("info", s.unsorted, "keys are not sorted, as version 2 demands")
	case !v2 && s.piecesAt < 0:
		return p.fail("info.pieces", -1, "missing")
	case s.name == nil:
		return p.fail("info.name", -1, "missing")
	}
	if s.unsorted >= 0 {
		p.warn("info", s.unsorted, "keys are not sorted")
	}
	if !p.pieceLength(v2) {
		return false
	}
	p.name()
	v1 := s.piecesAt >= 0
	if v1 && (s.filesAt >= 0) == (s.lengthAt >= 0) {
		return p.fail("info", s.start, "wants one of files and length")
	}
	switch {
	case v1 && s.filesAt >= 0:
		p.v1Files(v2)
	case v1:
		p.v1Single(v2)
	default:
		p.v2Files()
	}
	return p.err == nil && p.pieceCount(v1) && p.finishNames() && p.syntax("info", p.d)
}

func (p *parser) pieceLength(v2 bool) bool {
	const field = "info.piece length"
	pl, at := p.m.Info.PieceLength, p.info.plAt
	switch {
	case at < 0:
		return p.fail(field, -1, "missing")
	case pl <= 0:
		return p.fail(field, at, "%d is not positive", pl)
	case pl > p.o.Limits.PieceLength:
		return p.limit(field, at, "%d bytes, more than %d", pl, p.o.Limits.PieceLength)
	case v2 && (pl < blockSize || pl&(pl-1) != 0):
		return p.fail(field, at, "%d is not a power of two from 16 KiB, as version 2 demands", pl)
	case pl&(pl-1) != 0:
		p.warn(field, at, "not a power of two, which some programs refuse")
	}
	return true
}

// blockSize is the size in bytes of the leaves of BEP 52's trees.
const blockSize = 16 << 10

// pieceCount checks that the hashes of pieces match the size.
func (p *parser) pieceCount(v1 bool) bool {
	i := &p.m.Info
	n := ceilDiv(i.TotalLength(), i.PieceLength)
	if n > int64(p.o.Limits.Pieces) {
		return p.limit("info.piece length", p.info.plAt, "%d pieces, more than %d", n, p.o.Limits.Pieces)
	}
	if !v1 {
		return true
	}
	if len(i.Pieces)%sha1.Size != 0 {
		return p.fail("info.pieces", p.info.piecesAt, "%d bytes are not a multiple of 20", len(i.Pieces))
	}
	if have := len(i.Pieces) / sha1.Size; int64(have) != n {
		return p.fail("info.pieces", p.info.piecesAt, "%d hashes, but %d bytes in pieces of %d want %d", have, i.TotalLength(), i.PieceLength, n)
	}
	return true
}

// name sets the torrent's name.
func (p *parser) name() {
	raw := p.info.name
	if len(p.info.nameUTF8) > 0 {
		raw = p.info.nameUTF8
	}
	i := &p.m.Info
	i.RawName = string(raw[:min(len(raw), maxText)])
	i.Name = cleanName(i.RawName, p.o.Names)
	if i.Name == "" {
		h := sha1.Sum(p.m.InfoBytes)
		i.Name = hex.EncodeToString(h[:])
	}
	if i.Name == i.RawName {
		i.RawName = ""
	} else {
		p.warn("info.name", p.info.start, "not safe as a name: taken as "+strconv.Quote(i.Name))
	}
}

// add returns a+b of lengths in bytes, or false if that is over what 64 bits
// hold with room for alignment.
func add(a, b int64) (int64, bool) {
	if b < 0 || a > math.MaxInt64/2-b {
		return 0, false
	}
	return a + b, true
}
