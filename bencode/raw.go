package bencode

import "bytes"

// frame is the state of one list or dictionary that Skip has entered.
type frame struct {
	dict  bool
	value bool // in a dictionary: a value is next
	keyed bool // in a dictionary: from and to delimit the previous key
	from  int
	to    int
}

// Skip reads one value of any kind and checks it completely, including the order of
// keys.
func (d *Decoder) Skip() {
	switch d.Kind() {
	case String:
		d.Bytes()
	case Int:
		d.Int()
	case List, Dict:
		d.SkipCount()
	default:
		d.want(Dict)
	}
}

// SkipCount skips a list or dictionary like Skip and returns the number of its elements
// or keys.
func (d *Decoder) SkipCount() int {
	k := d.Kind()
	if k != Dict {
		k = List
	}
	if !d.open(k) {
		return 0
	}
	stack := append(d.stack[:0], frame{dict: k == Dict})
	n := d.skipNested(&stack)
	d.stack = stack[:0]
	return n
}

// skipNested reads to the end of the list or dictionary that was just opened and
// returns the number of its elements. It does not recurse, because the time
// for a hostile message is mostly spent here.
func (d *Decoder) skipNested(stack *[]frame) (n int) {
	f := &(*stack)[0]
	base := d.depth
	for b := d.b; d.err == nil; {
		off := d.off
		if off >= len(b) {
			d.err = truncated(off)
			break
		}
		switch c := b[off]; {
		case c-'0' <= 9:
			start := d.skipString(c, off)
			if f.dict && !f.value {
				d.noteKey(f, start, off)
				if d.depth == base {
					n++
				}
				continue
			}
		case f.dict && !f.value && c != 'e':
			d.want(String)
			continue
		case c == 'l' || c == 'd':
			if !d.open(kindOf(c)) {
				continue
			}
			if d.depth == base+1 && !f.dict {
				n++
			}
			f.value = false // the opened list or dictionary is the value
			*stack = append(*stack, frame{dict: c == 'd'})
			f = &(*stack)[len(*stack)-1]
			continue
		case c == 'i':
			d.Int()
		case c == 'e' && !f.value:
			d.more()
			*stack = (*stack)[:len(*stack)-1]
			if len(*stack) == 0 {
				return n
			}
			f = &(*stack)[len(*stack)-1]
			continue
		default:
			d.Fail(off, "found invalid byte instead of a value")
			continue
		}
		f.value = false
		if d.depth == base && !f.dict {
			n++
		}
	}
	return 0
}

func kindOf(c byte) Kind {
	if c == 'd' {
		return Dict
	}
	return List
}

// skipString skips the string at off, whose first digit is c, and returns the offset of
// its content.
func (d *Decoder) skipString(c byte, off int) int {
	if b := d.b; off+1 < len(b) && b[off+1] == ':' && d.tokens > 0 && int(c-'0') < len(b)-off-1 {
		d.tokens--
		d.off = off + 2 + int(c-'0')
		return off + 2
	}
	s := d.Bytes()
	return d.off - len(s)
}

// noteKey records the key b[start:d.off] in f. Its length is encoded at off.
func (d *Decoder) noteKey(f *frame, start, off int) {
	if d.err != nil {
		return
	}
	if f.keyed && !d.ordered(d.b[f.from:f.to], d.b[start:d.off], off) {
		return
	}
	f.keyed, f.value = true, true
	f.from, f.to = start, d.off
}

// Valid returns an error unless b is exactly one value within the default limits.
func Valid(b []byte) error {
	d := NewDecoder(b, Options{})
	d.Skip()
	return d.Finish()
}

// Tokens returns the number of tokens of the value at the start of b: strings, integers, and
// the starts and ends of lists and dictionaries. If b is malformed, it counts the tokens
// before the error.
func Tokens(b []byte) int {
	d := NewDecoder(b, Options{Tokens: len(b) + 1})
	d.Skip()
	return d.maxTokens - d.tokens
}

// Find returns the encoded value of key in the dictionary at the start of b, and its
// offset in b. If there is no such key it returns nil and -1. Find checks the syntax of
// b only up to the end of that value.
func Find(b []byte, key string) (raw []byte, offset int, err error) {
	d := NewDecoder(b, Options{})
	for k := range d.Dict {
		if bytes.Equal(k, []byte(key)) {
			at := d.Offset()
			raw := d.Raw()
			return raw, at, d.Err()
		}
	}
	return nil, -1, d.Err()
}
