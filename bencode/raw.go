package bencode

import "bytes"

// frame is a list or dictionary that Skip is inside of.
type frame struct {
	dict  bool
	value bool // a dictionary: its key was read, the value is next
	keyed bool // a dictionary: from and to are its last key
	from  int
	to    int
}

// Skip reads any value and checks all of it, the order of the keys inside too.
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

// SkipCount skips a list or dictionary as Skip does, and returns how many
// elements, or keys, it has.
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

// skipNested reads to the end of the container that was just opened, without
// recursion. It returns the number of elements. This loop is what a hostile
// message costs.
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
			f.value = false // it is what is read now
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

// skipString skips the string at off, where the digit c stands, and returns
// where its content starts.
func (d *Decoder) skipString(c byte, off int) int {
	if b := d.b; off+1 < len(b) && b[off+1] == ':' && d.tokens > 0 && int(c-'0') < len(b)-off-1 {
		d.tokens--
		d.off = off + 2 + int(c-'0')
		return off + 2
	}
	s := d.Bytes()
	return d.off - len(s)
}

// noteKey notes the key from start to d.off, whose length stands at off.
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

// Valid checks that b is exactly one value within the default limits.
func Valid(b []byte) error {
	d := NewDecoder(b, Options{})
	d.Skip()
	return d.Finish()
}

// Find returns the value of key in the dictionary that b starts with, as it
// stands, and where it starts; nil if there is no such key. Everything up to it
// is checked, nothing after it.
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
