package feed

import (
	"bytes"
	"fmt"
	"mime"
	"regexp"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// declared matches the encoding in the declaration of an XML document.
var declared = regexp.MustCompile(`^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']`)

// decode returns a document in UTF-8. Text that is valid UTF-8 is taken as such, whatever its labels
// say, because many servers send a wrong one. Characters that XML does not allow become spaces.
func decode(b []byte, contentType string) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		b = b[3:]
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return convert(b, unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM))
	}
	if utf8.Valid(b) {
		return clean(b), nil
	}
	name := ""
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		name = params["charset"]
	}
	if m := declared.FindSubmatch(b[:min(len(b), 400)]); m != nil && name == "" {
		name = string(m[1])
	}
	var e encoding.Encoding = charmap.Windows1252
	if name != "" {
		named, err := htmlindex.Get(name)
		if err != nil {
			return nil, fmt.Errorf("its charset %q is not known", name)
		}
		e = named
	}
	return convert(b, e)
}

// convert decodes b. A byte becomes at most four bytes.
func convert(b []byte, e encoding.Encoding) ([]byte, error) {
	text, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return nil, fmt.Errorf("its charset: %w", err)
	}
	return clean(text), nil
}

// clean replaces control characters, which XML does not allow, by spaces.
func clean(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return ' '
		}
		return r
	}, b)
}
