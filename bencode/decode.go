// Package bencode reads and writes the encoding of BEP 3: integers, byte
// strings, lists and dictionaries.
//
// Reading is a pull parser over a byte slice: no reflection, no tree, no copy.
// What it returns are parts of the input, so that a raw span such as the info
// dictionary is hashed exactly as it stood. Depth and number of tokens are
// bounded, and no length in the input causes an allocation.
//
// Writing is a family of append functions.
package bencode

import "bytes"

// Kind is what stands next in the input.
type Kind uint8

// The kinds. Invalid stands for malformed or exhausted input, and after an
// error.
const (
	Invalid Kind = iota
	Int
	String
	List
	Dict
	End // of the innermost list or dictionary
)

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	return [...]string{"invalid byte", "integer", "string", "list", "dictionary", "end"}[min(k, End)]
}

// Default limits.
const (
	MaxDepth  = 100       // nested lists and dictionaries
	MaxTokens = 3_000_000 // strings (keys too), integers, opening and closing marks
)

// Options are the limits of a [Decoder]. The zero value has the defaults.
type Options struct {
	Depth  int // nested lists and dictionaries, at most and by default MaxDepth
	Tokens int // default MaxTokens
	// Canonical makes dictionary keys that are out of order or twice an error.
	// Without it they are read, and Decoder.Unsorted and Decoder.Duplicate tell.
	Canonical bool
}

// Decoder reads one slice from front to back. Its errors stick: after the first
// one, every method returns a zero value, loops end, and Err tells; so that
// code reads a whole message and checks once.
//
// A Decoder is used by one goroutine at a time.
type Decoder struct {
	b         []byte
	off       int
	depth     int
	tokens    int // left
	maxTokens int
	maxDepth  int
	canonical bool
	unsorted  int // offset of the first key out of order, or -1
	duplicate int // offset of the first key equal to the one before it, or -1
	err       *SyntaxError
	stack     []frame // of Skip, kept for the next one
}

// NewDecoder returns a decoder of b, which must not change while slices that it
// returned are in use.
func NewDecoder(b []byte, o Options) *Decoder {
	d := &Decoder{maxTokens: MaxTokens, maxDepth: MaxDepth, canonical: o.Canonical}
	if o.Tokens > 0 {
		d.maxTokens = o.Tokens
	}
	if o.Depth > 0 {
		d.maxDepth = min(o.Depth, MaxDepth)
	}
	d.Reset(b)
	return d
}

// Reset makes d read b from its start, with the limits that it has.
func (d *Decoder) Reset(b []byte) {
	*d = Decoder{
		b: b, tokens: d.maxTokens, maxTokens: d.maxTokens, maxDepth: d.maxDepth, canonical: d.canonical,
		unsorted: -1, duplicate: -1, stack: d.stack,
	}
}

// Err returns the first error, a *SyntaxError, or nil.
func (d *Decoder) Err() error {
	if d.err == nil {
		return nil
	}
	return d.err
}

// Offset returns how many bytes were read, and Rest the others. After the
// outermost value they are what follows the message.
func (d *Decoder) Offset() int { return d.off }

// Rest returns the bytes not yet read.
func (d *Decoder) Rest() []byte { return d.b[d.off:] }

// Unsorted returns the offset of the first dictionary key that is smaller than
// the key before it, or -1.
func (d *Decoder) Unsorted() int { return d.unsorted }

// Duplicate returns the offset of the first dictionary key that equals the key
// before it, or -1. Equal keys with others between them also show as Unsorted.
func (d *Decoder) Duplicate() int { return d.duplicate }

// Kind tells what is next without reading it.
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

// ForgetOrder makes Unsorted and Duplicate start anew, for a caller that judges
// parts of a message apart.
func (d *Decoder) ForgetOrder() { d.unsorted, d.duplicate = -1, -1 }

// Fail makes an error stick at offset off, as if the input were malformed
// there: for a caller that finds a value out of its range.
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

// token counts one token.
func (d *Decoder) token() bool {
	if d.tokens == 0 {
		d.err = &SyntaxError{Offset: d.off, Reason: "too many tokens", cause: ErrLimit}
		return false
	}
	d.tokens--
	return true
}

// Int reads an integer of at most 64 bits. Leading zeros and -0 are errors.
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

// Bytes reads a string and returns its bytes in place.
func (d *Decoder) Bytes() []byte {
	if b, i := d.b, d.off; i+2 < len(b) && d.tokens > 0 && d.err == nil {
		// The commonest cases: a length of one digit or two.
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

// String reads a string as a copy.
func (d *Decoder) String() string { return string(d.Bytes()) }

// mark is the byte that a value of each kind starts with; for a string it is any
// digit.
var mark = [...]byte{Int: 'i', List: 'l', Dict: 'd', End: 'e'}

// open reads the mark that opens a container of kind k.
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

// more reports whether the innermost container has another element, and reads
// its end if not.
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

// List reads a list: the loop's body reads one element, or leaves it to be
// skipped. Breaking out of the loop leaves the decoder inside the list.
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

// Dict reads a dictionary: the loop's body gets a key, in place, and reads its
// value, or leaves it to be skipped.
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

// ordered notes, or refuses, a key that does not follow the one before it.
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

// Raw reads any value, checks all of it and returns its bytes as they stand.
func (d *Decoder) Raw() []byte {
	at := d.off
	d.Skip()
	if d.err != nil {
		return nil
	}
	return d.b[at:d.off:d.off]
}

// Finish fails if anything follows what was read, and returns Err.
func (d *Decoder) Finish() error {
	if d.err == nil && d.off < len(d.b) {
		d.Fail(d.off, "bytes after the end")
	}
	return d.Err()
}
