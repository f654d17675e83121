package bencode

import "bytes"

// frame is a container that Skip is inside of.
type frame struct {
	dict  bool
	value bool // a dictionary: its key was read, the value is next
	keyed bool // a dictionary: last is a key
	last  []byte
}

// Skip reads any value and checks all of it, the order of the keys inside too.
func (d *Decoder) Skip() {
	switch d.Kind() {
	case String:
		d.Bytes()
	case Int:
		d.Int()
	case List, Dict:
		d.skipNested()
	default:
		d.want(Dict)
	}
}

// skipNested is Skip for a list or dictionary, without recursion.
func (d *Decoder) skipNested() {
	stack := d.stack[:0]
	for done := false; !done && d.err == nil; {
		if d.off >= len(d.b) {
			d.err = truncated(d.off)
			return
		}
		top := len(stack) - 1
		switch c := d.b[d.off]; {
		case top >= 0 && stack[top].dict && !stack[top].value && c != 'e':
			d.skipKey(&stack[top])
			continue
		case c == 'd' && d.open(Dict):
			stack = append(stack, frame{dict: true})
			continue
		case c == 'l' && d.open(List):
			stack = append(stack, frame{})
			continue
		case c == 'e' && !stack[top].value:
			d.more()
			stack = stack[:top]
			done = top == 0
		case c == 'i':
			d.Int()
		default:
			d.Bytes()
		}
		if n := len(stack); n > 0 {
			stack[n-1].value = false
		}
	}
	d.stack = stack[:0]
}

// skipKey reads a key of f's dictionary.
func (d *Decoder) skipKey(f *frame) {
	at := d.off
	key := d.Bytes()
	if d.err == nil && (!f.keyed || d.ordered(f.last, key, at)) {
		f.last, f.keyed, f.value = key, true, true
	}
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
