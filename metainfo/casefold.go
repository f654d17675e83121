package metainfo

import (
	"encoding/binary"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// folder computes a key for each name. Two names have the same key if any common file
// system treats them as equal: the key ignores case (full Unicode case folding), the
// composition of characters (canonical equivalence), the order of combining marks on one
// letter, and joiners and selectors, which some file systems ignore and nobody can see.
//
// Package x/text has the same functions but takes more than 100 ns per character, and a
// hostile torrent has five million characters.
type folder struct {
	buf   []byte
	table *foldTable
}

// key returns the key of s, which is valid until the next call. If plain is true, all
// policies except NamesWindows leave every character of s unchanged. It is false for all
// names with joiners.
func (f *folder) key(s string) (key []byte, plain bool) {
	b := f.buf[:0]
	odd := byte(0)
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			f.buf = b
			plain = f.unicode(s, i)
			return f.buf, plain && odd == 0
		}
		odd |= unsafeBytes[c]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	f.buf = b
	return b, odd == 0
}

// unicode continues the key of s at byte i. For the marks on a letter it appends a byte
// that is invalid in UTF-8 and the sum of the hashes of the marks. The sum does not depend
// on the order of the marks, so that they need not be sorted, which a hostile torrent could
// make expensive.
func (f *folder) unicode(s string, i int) (plain bool) {
	if f.table == nil {
		f.table = foldTables()
	}
	t := f.table
	b := slices.Grow(f.buf, maxFold*len(s)+len(rule{}.text)) // so that no append below allocates
	marks := uint64(0)                                       // sum of the marks since the last letter
	plain = true
	for i < len(s) {
		from := i
		r := rune(s[i])
		switch { // inlined fast paths of utf8.DecodeRuneInString
		case r < utf8.RuneSelf:
			plain = plain && unsafeBytes[r] == 0
			i++
			if marks != 0 {
				b, marks = appendMarks(b, marks), 0
			}
			if 'A' <= r && r <= 'Z' {
				r |= 0x20
			}
			b = append(b, byte(r))
			continue
		case 0xc2 <= r && r < 0xe0 && len(s)-i > 1 && s[i+1]>>6 == 2:
			r = r&0x1f<<6 | rune(s[i+1]&0x3f)
			i += 2
		case 0xe1 <= r && r < 0xed && len(s)-i > 2 && s[i+1]>>6 == 2 && s[i+2]>>6 == 2:
			r = r&0xf<<12 | rune(s[i+1]&0x3f)<<6 | rune(s[i+2]&0x3f)
			i += 3
		default:
			var size int
			r, size = utf8.DecodeRuneInString(s[i:])
			i += size
		}
		e := t.of(r)
		if e.kind() == foldJoiner {
			plain = false
			continue
		}
		if e.kind() == foldRule {
			if rule := &t.rules[e>>8]; rule.n == 0 && e.rules() == 1 {
				marks += rule.marks // a single mark, the most frequent rule
			} else {
				b, marks = t.apply(e, b, marks)
			}
			continue
		}
		if marks != 0 {
			b, marks = appendMarks(b, marks), 0
		}
		switch e.kind() {
		case foldHangul:
			b = appendHangul(b, r)
			continue
		case foldUnsafe: // foldUnsafe also covers RuneError, which stands for invalid UTF-8
			plain = false
		}
		for ; from < i; from++ {
			b = append(b, s[from])
		}
	}
	f.buf = appendMarks(b, marks)
	return plain
}

// maxFold is an upper bound for the bytes of a key per byte of the name.
const maxFold = 16

// apply appends the text and marks of the rules of e.
func (t *foldTable) apply(e foldEntry, b []byte, marks uint64) ([]byte, uint64) {
	at := e >> 8
	for end := at + e.rules(); at < end; at++ {
		rule := &t.rules[at]
		if rule.n > 0 {
			if marks != 0 {
				b, marks = appendMarks(b, marks), 0
			}
			n := len(b)
			b = b[:n+len(rule.text)]
			*(*[len(rule.text)]byte)(b[n:]) = rule.text
			b = b[:n+int(rule.n)]
		}
		marks += rule.marks
	}
	return b, marks
}

// appendMarks appends the representation of marks unless there are none.
func appendMarks(b []byte, marks uint64) []byte {
	if marks == 0 {
		return b
	}
	return binary.NativeEndian.AppendUint64(append(b, 0xff), marks)
}

// Hangul syllables are composed by an algorithm (Unicode, section 3.12).
const (
	hangulBase, hangulEnd = 0xac00, 0xac00 + 11172
	hangulL, hangulV      = 0x1100, 0x1161
	hangulT, hangulTs     = 0x11a7, 28
	hangulVTs             = 21 * hangulTs
)

func appendHangul(b []byte, r rune) []byte {
	n := r - hangulBase
	b = utf8.AppendRune(b, hangulL+n/hangulVTs)
	b = utf8.AppendRune(b, hangulV+n%hangulVTs/hangulTs)
	if t := n % hangulTs; t > 0 {
		b = utf8.AppendRune(b, hangulT+t)
	}
	return b
}

// foldEntry describes how a character is folded. The lowest three bits are the kind.
// For foldRule the bits above are the number and the index of its rules.
type foldEntry uint32

const (
	foldSame foldEntry = iota
	foldRule
	foldHangul
	foldUnsafe // an unsafe character; see kindOf
	foldJoiner // a joiner, a selector or a tag, which the key ignores
)

func (e foldEntry) kind() foldEntry { return e & 7 }

// rules returns the number of rules of a foldRule entry.
func (e foldEntry) rules() foldEntry { return e >> 3 & 31 }

// rule is one part of a folded character: letters followed by marks.
type rule struct {
	text  [16]byte
	n     int    // length of text
	marks uint64 // sum of the marks, see folder.unicode
}

// foldTable holds the entries of all characters in pages of 256.
type foldTable struct {
	pages [(unicode.MaxRune + 1) >> 8]*[256]foldEntry
	rules []rule
}

func (t *foldTable) of(r rune) foldEntry {
	if page := t.pages[uint32(r)>>8]; page != nil {
		return page[r&0xff]
	}
	if uint32(r-hangulBase) < hangulEnd-hangulBase {
		return foldHangul
	}
	return foldSame
}

// foldTables returns the table, which it computes at first use from the tables of the
// standard library and x/text.
var foldTables = sync.OnceValue(func() *foldTable {
	t := new(foldTable)
	for _, span := range [][2]rune{{'A', 'Z'}, {0x80, 0x33ff}, {0xa000, 0xabff}, {0xf900, 0xffff}, {0x10000, 0x1efff}, {0x2f800, 0x2fa1f}, {0xe0000, 0xe0fff}} {
		for r := span[0]; r <= span[1]; r++ {
			t.set(r)
		}
	}
	for plane := rune(1); plane <= unicode.MaxRune>>16; plane++ { // noncharacters
		t.set(plane<<16 | 0xfffe)
		t.set(plane<<16 | 0xffff)
	}
	return t
})

// fullFolding lists the characters that fold to several characters and have no
// canonical decomposition (status F in CaseFolding.txt of Unicode).
var fullFolding = map[rune]string{
	'ß': "ss", 'ẞ': "ss", 'ŉ': "ʼn", 'և': "եւ", 'ẚ': "aʾ",
	'ﬀ': "ff", 'ﬁ': "fi", 'ﬂ': "fl", 'ﬃ': "ffi", 'ﬄ': "ffl", 'ﬅ': "st", 'ﬆ': "st",
	'ﬓ': "մն", 'ﬔ': "մե", 'ﬕ': "մի", 'ﬖ': "վն", 'ﬗ': "մխ",
}

func (t *foldTable) set(r rune) {
	if r == utf8.RuneError { // also stands for invalid UTF-8
		t.put(r, foldUnsafe)
		return
	}
	if kind := kindOf(r); kind != foldSame {
		t.put(r, kind)
		return
	}
	var buf [utf8.UTFMax]byte
	own := norm.NFD.Properties(utf8.AppendRune(buf[:0], r))
	from, full := fullFolding[r]
	switch {
	case full:
	case own.Decomposition() != nil:
		from = norm.NFD.String(string(r))
	case own.CCC() == 0 && simpleFold(r) == r:
		return
	default:
		from = string(r)
	}
	at := len(t.rules)
	var now rule
	for _, c := range from {
		folded := simpleFold(c)
		if norm.NFD.PropertiesString(string(folded)).CCC() != 0 {
			h := uint64(folded) * 0x9e3779b97f4a7c15
			now.marks += h ^ h>>31
			continue
		}
		if now.marks != 0 { // a letter that follows marks
			t.rules = append(t.rules, now)
			now = rule{}
		}
		now.n += copy(now.text[now.n:], string(folded))
	}
	t.rules = append(t.rules, now)
	t.put(r, foldRule|foldEntry(len(t.rules)-at)<<3|foldEntry(at)<<8)
}

func (t *foldTable) put(r rune, e foldEntry) {
	page := &t.pages[r>>8]
	if *page == nil {
		*page = new([256]foldEntry)
	}
	(*page)[r&0xff] = e
}

// simpleFold returns the same character for all characters that differ only in case.
func simpleFold(r rune) rune {
	least := r
	for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
		least = min(least, c)
	}
	return unicode.ToLower(least)
}
