package wire

import (
	"math"
	"strconv"
	"unicode/utf8"

	"spate"
)

// maxWSDepth bounds the depth of nested values in unknown fields.
const maxWSDepth = 8

// wsParser reads JSON (RFC 8259) from a message. After the first error it reads nothing
// more, and all methods return zero values.
type wsParser struct {
	in     []byte
	at     int
	err    error
	buf    []byte           // the last decoded string
	hashes []spate.InfoHash // info_hash
}

// fail records the first error.
func (p *wsParser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
	p.at = len(p.in)
}

// peek skips space and returns the next byte; 0 at the end.
func (p *wsParser) peek() byte {
	for ; p.at < len(p.in); p.at++ {
		switch c := p.in[p.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take consumes the byte c if it is next.
func (p *wsParser) take(c byte) bool {
	if p.peek() != c || p.at == len(p.in) {
		return false
	}
	p.at++
	return true
}

// want consumes the byte c, or fails.
func (p *wsParser) want(c byte) bool {
	if p.take(c) {
		return true
	}
	p.fail(ErrWSSyntax)
	return false
}

// end checks that nothing follows, and returns the error of the parser.
func (p *wsParser) end() error {
	if p.err == nil && p.peek() != 0 || p.at < len(p.in) {
		p.fail(ErrWSSyntax)
	}
	return p.err
}

// object parses an object, or null as an empty one. It calls member with each key, which is
// valid until member parses a value; member must parse the value.
func (p *wsParser) object(member func(key []byte)) {
	if p.null() || !p.want('{') || p.take('}') {
		return
	}
	for p.err == nil {
		key := p.str(MaxWSMessage)
		if !p.want(':') {
			return
		}
		member(key)
		if p.err == nil && !p.take(',') {
			p.want('}')
			return
		}
	}
}

// array parses an array, or null as an empty one. It calls element before each element, which
// element must parse.
func (p *wsParser) array(element func()) {
	if p.null() || !p.want('[') || p.take(']') {
		return
	}
	for p.err == nil {
		element()
		if p.err == nil && !p.take(',') {
			p.want(']')
			return
		}
	}
}

// word consumes a word that starts at the next byte.
func (p *wsParser) word(w string) bool {
	p.peek()
	if len(p.in)-p.at < len(w) || string(p.in[p.at:p.at+len(w)]) != w {
		return false
	}
	p.at += len(w)
	return true
}

// null consumes null if it is next.
func (p *wsParser) null() bool { return p.peek() == 'n' && p.word("null") }

// boolean parses true or false. It returns false for null.
func (p *wsParser) boolean() bool {
	switch {
	case p.word("true"):
		return true
	case p.word("false") || p.null():
	default:
		p.fail(ErrWSSyntax)
	}
	return false
}

// skip parses any value that is nested depth levels deep.
func (p *wsParser) skip(depth int) {
	if depth > maxWSDepth {
		p.fail(ErrWSSyntax)
		return
	}
	switch c := p.peek(); {
	case c == '"':
		p.str(MaxWSMessage)
	case c == '{':
		p.object(func([]byte) { p.skip(depth + 1) })
	case c == '[':
		p.array(func() { p.skip(depth + 1) })
	case c == '-' || '0' <= c && c <= '9':
		p.number(0)
	default:
		p.boolean()
	}
}

// number parses a number, which it rounds to zero and limits to the range of int64. It returns
// missing for null.
func (p *wsParser) number(missing int64) int64 {
	if p.null() {
		return missing
	}
	p.peek()
	start, whole := p.at, true
scan:
	for ; p.at < len(p.in); p.at++ {
		switch c := p.in[p.at]; {
		case '0' <= c && c <= '9':
		case c == '-' && p.at == start:
		case c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-':
			whole = false
		default:
			break scan
		}
	}
	text := p.in[start:p.at]
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(text) > 32 || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && len(digits) > 1 && whole {
		p.fail(ErrWSSyntax)
		return 0
	}
	if whole && len(digits) <= 18 {
		n := int64(0)
		for _, c := range digits {
			n = 10*n + int64(c-'0')
		}
		if len(digits) < len(text) {
			n = -n
		}
		return n
	}
	f, err := strconv.ParseFloat(string(text), 64)
	switch {
	case err != nil && !math.IsInf(f, 0):
		p.fail(ErrWSSyntax)
		return 0
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

// text parses a string of at most limit bytes. It returns an empty string for null.
func (p *wsParser) text(limit int) string {
	if p.null() {
		return ""
	}
	return string(p.str(limit))
}

// bytes20 parses a binary string of 20 characters into dst and reports whether there was one.
// It fails with wrong if the value is anything else except null.
func (p *wsParser) bytes20(dst *[20]byte, wrong error) bool {
	if p.null() {
		return false
	}
	if p.peek() != '"' || !latin20(dst, p.str(MaxWSMessage)) {
		p.fail(wrong)
	}
	return p.err == nil
}

// plainText are the bytes that stand for themselves in a JSON string.
var plainText = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// str parses a string of at most limit bytes and returns it as UTF-8. The result is valid until
// the next call. Half of a surrogate pair becomes U+FFFD.
func (p *wsParser) str(limit int) []byte {
	dst := p.buf[:0]
	if !p.want('"') {
		return nil
	}
	for p.at < len(p.in) {
		start := p.at
		for p.at < len(p.in) && plainText[p.in[p.at]] {
			p.at++
		}
		dst = append(dst, p.in[start:p.at]...)
		if len(dst) > limit || p.at == len(p.in) {
			break
		}
		switch c := p.in[p.at]; {
		case c == '"':
			p.at++
			p.buf = dst
			return dst
		case c == '\\':
			dst = p.escape(dst)
		case c < ' ':
			p.fail(ErrWSSyntax)
		default:
			r, n := utf8.DecodeRune(p.in[p.at:])
			if r == utf8.RuneError && n == 1 {
				p.fail(ErrWSSyntax)
				return nil
			}
			dst = append(dst, p.in[p.at:p.at+n]...)
			p.at += n
		}
	}
	if len(dst) > limit {
		p.fail(ErrWSTooLarge)
	}
	p.fail(ErrWSSyntax)
	return nil
}

// escape decodes an escape sequence and appends it to dst.
func (p *wsParser) escape(dst []byte) []byte {
	if p.at+1 >= len(p.in) {
		p.fail(ErrWSSyntax)
		return dst
	}
	c := p.in[p.at+1]
	p.at += 2
	switch c {
	case '"', '\\', '/':
		return append(dst, c)
	case 'b':
		return append(dst, '\b')
	case 'f':
		return append(dst, '\f')
	case 'n':
		return append(dst, '\n')
	case 'r':
		return append(dst, '\r')
	case 't':
		return append(dst, '\t')
	case 'u':
	default:
		p.fail(ErrWSSyntax)
		return dst
	}
	r, ok := p.hex4()
	if !ok {
		p.fail(ErrWSSyntax)
		return dst
	}
	if 0xd800 <= r && r < 0xdc00 && p.at+1 < len(p.in) && p.in[p.at] == '\\' && p.in[p.at+1] == 'u' {
		back := p.at
		p.at += 2
		if low, ok := p.hex4(); ok && 0xdc00 <= low && low < 0xe000 {
			r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
		} else {
			p.at = back
		}
	}
	return utf8.AppendRune(dst, r)
}

// hex4 consumes four hexadecimal digits.
func (p *wsParser) hex4() (r rune, ok bool) {
	if len(p.in)-p.at < 4 {
		return 0, false
	}
	for _, c := range p.in[p.at : p.at+4] {
		d, ok := unhex(c)
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	p.at += 4
	return r, true
}

// latin20 converts a text of 20 characters from U+0000 to U+00FF to as many bytes.
func latin20(dst *[20]byte, text []byte) bool {
	n := 0
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r > 0xff || n == len(dst) {
			return false
		}
		dst[n] = byte(r)
		n++
		text = text[size:]
	}
	return n == len(dst)
}

// appendLatin appends bytes as a JSON string with one character for each.
func appendLatin(b, v []byte) []byte {
	b = append(b, '"')
	for _, c := range v {
		if c < utf8.RuneSelf {
			b = appendJSONByte(b, c)
		} else {
			b = utf8.AppendRune(b, rune(c))
		}
	}
	return append(b, '"')
}

// appendJSONText appends a text as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendJSONText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			b = appendJSONByte(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		b = utf8.AppendRune(b, r)
		i += n
	}
	return append(b, '"')
}

// appendJSONByte appends an ASCII character, escaped if needed.
func appendJSONByte(b []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c == '\r':
		return append(b, '\\', 'r')
	case c == '\n':
		return append(b, '\\', 'n')
	case c == '\t':
		return append(b, '\\', 't')
	case c < ' ' || c == 0x7f:
		return append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
	}
	return append(b, c)
}
