// Package bencode reads and writes bencoding (BEP 3): integers, byte strings, lists and
// dictionaries.
//
// [Decoder] is a pull parser over a byte slice. It builds no tree, uses no reflection
// and returns slices of its input, so that the bytes of an info dictionary can be
// hashed exactly as they were received. The depth and the number of tokens are limited,
// and no length in the input makes it allocate memory.
//
// The Append functions encode values.
package bencode

import "bytes"

// Kind is the type of the next value in the input.
type Kind uint8

// The kinds of values. Invalid means that the input is malformed or at its end, or that
// the decoder has failed.
const (
	Invalid Kind = iota
	Int
	String
	List
	Dict
	End // the end of the innermost list or dictionary
)

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	return [...]string{"invalid byte", "integer", "string", "list", "dictionary", "end"}[min(k, End)]
}

// The default limits. Tokens are strings (including keys), integers, and the starts and ends
// of lists and dictionaries. An input of more than 6 MB may have more tokens than MaxTokens:
// one for each two of its bytes.
const (
	MaxDepth  = 100 // depth of nested lists and dictionaries
	MaxTokens = 3_000_000

	bytesPerToken = 2
)

// Options sets the limits of a [Decoder]. The zero value selects the defaults.
type Options struct {
	Depth  int // depth of nested lists and dictionaries; 0 and values above MaxDepth select MaxDepth
	Tokens int // number of tokens; 0 selects MaxTokens, or half the length of the input in bytes if that is more
	// Canonical makes it an error if the keys of a dictionary are out of order or
	// repeated. If it is false such keys are accepted, and Unsorted and Duplicate
	// report them.
	Canonical bool
}

// Decoder reads one byte slice from front to back. After the first error every method
// returns a zero value and every loop ends, so that a caller can read a whole message
// and call Err once.
//
// A Decoder is not safe for concurrent use.
type Decoder struct {
	b         []byte
	off       int
	depth     int
	tokens    int // how many more tokens may be read
	maxTokens int // 0 selects the default
	maxDepth  int
	canonical bool
	unsorted  int // offset of the first key out of order, or -1
	duplicate int // offset of the first key equal to the one before it, or -1
	err       *SyntaxError
	stack     []frame // scratch space of Skip
}

// NewDecoder returns a decoder that reads b. The decoder returns slices of b, so b must
// not change while they are in use.
func NewDecoder(b []byte, o Options) *Decoder {
	d := &Decoder{maxTokens: max(o.Tokens, 0), maxDepth: MaxDepth, canonical: o.Canonical}
	if o.Depth > 0 {
		d.maxDepth = min(o.Depth, MaxDepth)
	}
	d.Reset(b)
	return d
}

// Reset makes d read b from its start. It keeps the limits.
func (d *Decoder) Reset(b []byte) {
	tokens := d.maxTokens
	if tokens == 0 {
		tokens = max(MaxTokens, len(b)/bytesPerToken)
	}
	*d = Decoder{
		b: b, tokens: tokens, maxTokens: d.maxTokens, maxDepth: d.maxDepth, canonical: d.canonical,
		unsorted: -1, duplicate: -1, stack: d.stack,
	}
}

// Err returns the first error as a *[SyntaxError], or nil.
func (d *Decoder) Err() error {
	if d.err == nil {
		return nil
	}
	return d.err
}

// Offset returns the number of bytes read so far.
func (d *Decoder) Offset() int { return d.off }

// Rest returns the bytes that were not read yet. After the outermost value these are
// the bytes that follow the message.
func (d *Decoder) Rest() []byte { return d.b[d.off:] }

// Unsorted returns the offset of the first dictionary key that is smaller than the key
// before it, or -1.
func (d *Decoder) Unsorted() int { return d.unsorted }

// Duplicate returns the offset of the first dictionary key that equals the key before
// it, or -1. A repeated key that does not follow its first occurrence directly is out
// of order, and Unsorted reports that.
func (d *Decoder) Duplicate() int { return d.duplicate }

// Kind returns the type of the next value without reading it.
func (d *Decoder) Kind() Kind {
	if d.err != nil || d.off >= len(d.b) {
		return Invalid
	}
	switch c := d.b[d.off]; {
	case c-'0' <= 9:
		return String
	case c == 'i':
		return Int
	case c == 'l':
		return List
	case c == 'd':
		return Dict
	case c == 'e' && d.depth > 0:
		return End
	}
	return Invalid
}

// ForgetOrder resets Unsorted and Duplicate to -1, so that a caller can check the parts
// of a message separately.
func (d *Decoder) ForgetOrder() { d.unsorted, d.duplicate = -1, -1 }

// Fail makes the decoder fail with an error at the given offset, as if the input were
// malformed there. Callers use it to reject values that are out of range. It does
// nothing if the decoder has failed already.
func (d *Decoder) Fail(off int, reason string) {
	if d.err == nil {
		d.err = &SyntaxError{Offset: off, Reason: reason}
	}
}

// want fails unless the next value is of kind k.
func (d *Decoder) want(k Kind) bool {
	if d.err != nil {
		return false
	}
	switch got := d.Kind(); {
	case got == k:
		return true
	case d.off >= len(d.b):
		d.err = truncated(d.off)
	default:
		d.Fail(d.off, "found "+got.String()+" instead of "+k.String())
	}
	return false
}

// token counts one token and fails if the limit is reached.
func (d *Decoder) token() bool {
	if d.tokens == 0 {
		d.err = &SyntaxError{Offset: d.off, Reason: "too many tokens", cause: ErrLimit}
		return false
	}
	d.tokens--
	return true
}

// Int reads an integer, which must fit in 64 bits. Leading zeros and -0 are errors.
func (d *Decoder) Int() int64 {
	if b, i := d.b, d.off; i+2 < len(b) && b[i] == 'i' && b[i+2] == 'e' && b[i+1]-'0' <= 9 && d.tokens > 0 && d.err == nil {
		d.tokens--
		d.off = i + 3
		return int64(b[i+1] - '0')
	}
	if !d.want(Int) || !d.token() {
		return 0
	}
	n, end, err := parseInt(d.b, d.off)
	if err != nil {
		d.err = err
		return 0
	}
	d.off = end
	return n
}

// Bytes reads a string and returns it as a slice of the input.
func (d *Decoder) Bytes() []byte {
	if b, i := d.b, d.off; i+2 < len(b) && d.tokens > 0 && d.err == nil {
		// Fast path for lengths of one or two digits.
		n, from := int(b[i]-'0'), i+2
		if b[i+1] != ':' && b[i+2] == ':' && uint(n-1) < 9 && b[i+1]-'0' <= 9 {
			n, from = n*10+int(b[i+1]-'0'), i+3
		} else if b[i+1] != ':' || n > 9 {
			n = -1
		}
		if uint(n) <= uint(len(b)-from) {
			d.tokens--
			d.off = from + n
			return b[from:d.off:d.off]
		}
	}
	if !d.want(String) || !d.token() {
		return nil
	}
	start, end, err := parseString(d.b, d.off)
	if err != nil {
		d.err = err
		return nil
	}
	d.off = end
	return d.b[start:end:end]
}

// String reads a string and returns a copy.
func (d *Decoder) String() string { return string(d.Bytes()) }

// mark holds the first byte of the values of each kind. It has no entry for strings,
// which start with any digit.
var mark = [...]byte{Int: 'i', List: 'l', Dict: 'd', End: 'e'}

// open reads the first byte of a list or dictionary.
func (d *Decoder) open(k Kind) bool {
	if d.off < len(d.b) && d.b[d.off] == mark[k] && d.tokens > 0 && d.depth < d.maxDepth && d.err == nil {
		d.tokens--
		d.depth++
		d.off++
		return true
	}
	if !d.want(k) || !d.token() {
		return false
	}
	if d.depth >= d.maxDepth {
		d.err = &SyntaxError{Offset: d.off, Reason: "nested too deeply", cause: ErrLimit}
		return false
	}
	d.depth++
	d.off++
	return true
}

// more reports whether the innermost list or dictionary has another element. If it has
// none, more reads its end.
func (d *Decoder) more() bool {
	switch {
	case d.err != nil:
		return false
	case d.off >= len(d.b):
		d.err = truncated(d.off)
		return false
	case d.b[d.off] != 'e':
		return true
	}
	if d.token() {
		d.off++
		d.depth--
	}
	return false
}

// List reads a list and runs the loop body for each element. An element that the body
// does not read is skipped. Breaking out of the loop leaves the decoder inside the
// list.
//
//	for range d.List {
//		names = append(names, d.String())
//	}
func (d *Decoder) List(yield func() bool) {
	if !d.open(List) {
		return
	}
	for d.more() {
		at := d.off
		if !yield() {
			return
		}
		if d.off == at {
			d.Skip()
		}
	}
}

// Dict reads a dictionary and runs the loop body for each key, which is a slice of the
// input. A value that the body does not read is skipped.
//
//	for key := range d.Dict {
//		switch string(key) {
//		case "interval":
//			interval = d.Int()
//		}
//	}
func (d *Decoder) Dict(yield func(key []byte) bool) {
	if !d.open(Dict) {
		return
	}
	var last []byte
	for first := true; d.more(); first = false {
		at := d.off
		key := d.Bytes()
		if d.err != nil || !first && !d.ordered(last, key, at) {
			return
		}
		last = key
		at = d.off
		if !yield(key) {
			return
		}
		if d.off == at {
			d.Skip()
		}
	}
}

// ordered compares a key with the one before it. It records a key that is out of order
// or repeated, or rejects it if Canonical is set, and reports whether decoding may go
// on.
func (d *Decoder) ordered(last, key []byte, at int) bool {
	if len(last) > 0 && len(key) > 0 && last[0] < key[0] {
		return true
	}
	switch c := bytes.Compare(last, key); {
	case c < 0:
	case d.canonical && c == 0:
		d.Fail(at, "duplicate key")
		return false
	case d.canonical:
		d.Fail(at, "keys out of order")
		return false
	case c == 0 && d.duplicate < 0:
		d.duplicate = at
	case c > 0 && d.unsorted < 0:
		d.unsorted = at
	}
	return true
}

// Raw reads one value of any kind, checks it completely and returns its bytes.
func (d *Decoder) Raw() []byte {
	at := d.off
	d.Skip()
	if d.err != nil {
		return nil
	}
	return d.b[at:d.off:d.off]
}

// Finish fails if any bytes are left, and returns Err.
func (d *Decoder) Finish() error {
	if d.err == nil && d.off < len(d.b) {
		d.Fail(d.off, "bytes after the end")
	}
	return d.Err()
}
