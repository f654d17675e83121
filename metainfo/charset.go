package metainfo

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// Old programs wrote names in the charset of their system and its name under the key encoding.
// That key is outside of the info dictionary, so the names in metadata from peers stay
// undecoded.

// charsetOf returns the charset with the given name, or nil if names in it need no decoding or
// the charset is unknown.
func charsetOf(name string) encoding.Encoding {
	key := strings.Map(func(c rune) rune {
		switch {
		case 'A' <= c && c <= 'Z':
			return c | 0x20
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			return c
		}
		return -1
	}, name)
	switch key {
	case "gbk", "gb2312", "gb23121980", "euccn", "cp936", "ms936", "936", "windows936", "gb18030":
		return simplifiedchinese.GB18030 // contains the others
	case "big5", "big5hkscs", "cp950", "ms950", "950", "windows950":
		return traditionalchinese.Big5
	case "shiftjis", "sjis", "xsjis", "mskanji", "cp932", "ms932", "932", "windows31j", "windows932":
		return japanese.ShiftJIS
	case "eucjp", "xeucjp":
		return japanese.EUCJP
	case "euckr", "ksc5601", "ksc56011987", "cp949", "ms949", "949", "uhc", "windows949":
		return korean.EUCKR
	case "koi8r":
		return charmap.KOI8R
	case "koi8u":
		return charmap.KOI8U
	case "macintosh", "macroman":
		return charmap.Macintosh
	case "maccyrillic", "xmaccyrillic":
		return charmap.MacintoshCyrillic
	case "latin1", "l1":
		return charmap.Windows1252
	case "latin9":
		return charmap.ISO8859_15
	case "tis620", "iso885911", "cp874":
		return charmap.Windows874
	}
	for prefix, pages := range codePages() {
		if page, ok := strings.CutPrefix(key, prefix); ok && pages[page] != nil {
			return pages[page]
		}
	}
	return nil
}

// codePages returns the charsets with one byte for each character, by the prefix and the rest of
// their names.
func codePages() map[string]map[string]encoding.Encoding {
	windows := map[string]encoding.Encoding{
		"874": charmap.Windows874, "1250": charmap.Windows1250, "1251": charmap.Windows1251, "1252": charmap.Windows1252, "1253": charmap.Windows1253,
		"1254": charmap.Windows1254, "1255": charmap.Windows1255, "1256": charmap.Windows1256, "1257": charmap.Windows1257, "1258": charmap.Windows1258,
		"437": charmap.CodePage437, "850": charmap.CodePage850, "852": charmap.CodePage852, "855": charmap.CodePage855, "858": charmap.CodePage858,
		"860": charmap.CodePage860, "862": charmap.CodePage862, "863": charmap.CodePage863, "865": charmap.CodePage865, "866": charmap.CodePage866,
	}
	iso := map[string]encoding.Encoding{
		// Programs for Windows mean their own supersets of these two.
		"1": charmap.Windows1252, "9": charmap.Windows1254,
		"2": charmap.ISO8859_2, "3": charmap.ISO8859_3, "4": charmap.ISO8859_4, "5": charmap.ISO8859_5, "6": charmap.ISO8859_6, "7": charmap.ISO8859_7,
		"8": charmap.ISO8859_8, "10": charmap.ISO8859_10, "13": charmap.ISO8859_13, "14": charmap.ISO8859_14, "15": charmap.ISO8859_15, "16": charmap.ISO8859_16,
	}
	return map[string]map[string]encoding.Encoding{"windows": windows, "cp": windows, "ibm": windows, "ms": windows, "": windows, "iso8859": iso}
}

// decoder decodes names in a charset. The zero decoder decodes nothing.
type decoder struct{ text *encoding.Decoder }

// setCharset selects the charset with the given name.
func (d *decoder) setCharset(name string) {
	if c := charsetOf(name); c != nil {
		d.text = c.NewDecoder()
	}
}

// decode returns raw in UTF-8, and whether it was decoded. A name that is UTF-8 already, or that
// is not valid in the charset, stays as it is.
func (d *decoder) decode(raw []byte) (text []byte, decoded bool) {
	if d.text == nil || utf8.Valid(raw) {
		return raw, false
	}
	text, err := d.text.Bytes(raw)
	if err != nil || strings.ContainsRune(string(text), utf8.RuneError) {
		return raw, false
	}
	return text, true
}
