package metainfo

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"math"
	"strconv"

	"spate/bencode"
	"spate/internal/units"
)

// infoSpans holds the results of the first pass over the info dictionary: small values,
// and the offsets of large ones. Offsets are those of values in the parser's input, or
// -1.
type infoSpans struct {
	start     int
	name      []byte
	nameUTF8  []byte
	length    int64
	lengthAt  int
	filesAt   int
	treeAt    int
	piecesAt  int
	plAt      int // offset of "piece length"
	metaAt    int // offset of "meta version"
	files     int // number of entries in the v1 file list
	treeFiles int // number of files in the v2 file tree
	attr      Attr
	unsorted  int  // offset of the first key that is out of order, or -1
	shuffled  bool // keys are out of order in info itself or in an unknown value inside it
}

// infoDict reads the info dictionary for the first time. It stores small values, and
// checks and counts the entries of file lists.
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
			p.fail("info.meta version", at, "unknown version %d", v)
		} else {
			i.MetaVersion = int(v)
		}
	case "files":
		s.filesAt, s.files = at, p.countFiles()
	case "file tree":
		s.treeAt, s.treeFiles = at, p.countTree()
	case "private":
		i.Private = p.private(at)
	case "source":
		i.Source = p.text("info.source", MaxText)
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
		p.syntax("info."+fieldName(string(name)), p.d)
	}
}

// fieldName returns key, which may be hostile, in a form that is safe in an error.
func fieldName(key string) string {
	if len(key) > 32 || !plain(key) {
		return "(unknown key)"
	}
	return key
}

// required reads a string that is mandatory.
func (p *parser) required() []byte {
	b := p.d.Bytes()
	if b == nil && p.d.Err() == nil {
		return []byte{}
	}
	return b
}

// private reads the private flag (BEP 27), which some programs write as a string.
func (p *parser) private(at int) bool {
	switch p.d.Kind() {
	case bencode.Int:
		return p.d.Int() != 0
	case bencode.String:
		p.warn("info.private", at, "a string instead of an integer")
		s := string(p.d.Bytes())
		return s != "" && s != "0"
	}
	p.warn("info.private", at, "neither 0 nor 1: treated as 1")
	return true
}

// finishInfo checks the info dictionary as a whole and reads its files.
func (p *parser) finishInfo() bool {
	i, s := &p.m.Info, &p.info
	v2 := i.MetaVersion >= 2
	switch {
	case v2 && s.treeAt < 0:
		return p.fail("info.file tree", -1, "missing, but version 2 requires it")
	case !v2 && s.treeAt >= 0:
		return p.fail("info.meta version", -1, "missing in a torrent with a file tree")
	case v2 && s.unsorted >= 0:
		return p.fail("info", s.unsorted, "keys are not sorted, which version 2 requires")
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
		return p.fail("info", s.start, "must have either files or length")
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
		return p.limit(field, at, "%s exceed the limit of %d", units.Plural(pl, "byte"), p.o.Limits.PieceLength)
	case v2 && (pl < blockSize || pl&(pl-1) != 0):
		return p.fail(field, at, "%d is not a power of two of at least 16 KiB, which version 2 requires", pl)
	case pl&(pl-1) != 0:
		p.warn(field, at, "not a power of two, which some programs reject")
	}
	return true
}

// blockSize is the size in bytes of the blocks that BEP 52 hashes.
const blockSize = 16 << 10

// pieceCount checks that the number of piece hashes matches the length of the data.
func (p *parser) pieceCount(v1 bool) bool {
	i := &p.m.Info
	n := ceilDiv(i.TotalLength(), i.PieceLength)
	if n > int64(p.o.Limits.Pieces) {
		return p.limit("info.piece length", p.info.plAt, "%s exceed the limit of %d", units.Plural(n, "piece"), p.o.Limits.Pieces)
	}
	if !v1 {
		return true
	}
	if len(i.Pieces)%sha1.Size != 0 {
		return p.fail("info.pieces", p.info.piecesAt, "%s are not a multiple of 20", units.Plural(len(i.Pieces), "byte"))
	}
	if have := len(i.Pieces) / sha1.Size; int64(have) != n {
		return p.fail("info.pieces", p.info.piecesAt, "%s, but %s in pieces of %d need %d", units.Plural(have, "hash"), units.Plural(i.TotalLength(), "byte"), i.PieceLength, n)
	}
	return true
}

// name sets the name of the torrent.
func (p *parser) name() {
	i := &p.m.Info
	raw := p.info.name
	if len(p.info.nameUTF8) > 0 {
		raw = p.info.nameUTF8
		i.twoNames = !bytes.Equal(raw, p.info.name)
	}
	i.RawName = string(raw[:min(len(raw), MaxText)])
	name, decoded := p.decoder.decode([]byte(i.RawName))
	i.decoded = i.decoded || decoded
	i.Name = cleanName(string(name), p.o.Names)
	if i.Name == "" {
		h := sha1.Sum(p.m.InfoBytes)
		i.Name = hex.EncodeToString(h[:])
	}
	switch {
	case i.Name == i.RawName:
		i.RawName = ""
	case i.Name != string(name):
		p.warn("info.name", p.info.start, "unsafe name: replaced by "+strconv.Quote(i.Name))
	}
}

// add returns the sum of two lengths in bytes. It returns false if the sum does not fit
// into 64 bits with some space for alignment.
func add(a, b int64) (int64, bool) {
	if b < 0 || a > math.MaxInt64/2-b {
		return 0, false
	}
	return a + b, true
}
