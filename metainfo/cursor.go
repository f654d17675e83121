package metainfo

// cursor reads bencoding that a decoder has already checked for syntax and limits,
// without checking it again. Only the types of values must still be checked by the
// caller.
type cursor struct {
	b   []byte
	off int
}

// next returns the first byte of the next value: 'i', 'l', 'd', a digit, or 'e' at the
// end of the list or dictionary.
func (c *cursor) next() byte { return c.b[c.off] }

// isString reports whether the next value is a string.
func (c *cursor) isString() bool { return c.b[c.off]-'0' <= 9 }

// enter enters the next value, a list or dictionary.
func (c *cursor) enter() { c.off++ }

// more reports whether the list or dictionary has another element. If it has none, more
// leaves it.
func (c *cursor) more() bool {
	if c.b[c.off] != 'e' {
		return true
	}
	c.off++
	return false
}

// str reads a string.
func (c *cursor) str() []byte {
	b, i := c.b, c.off
	n := int(b[i] - '0')
	for i++; b[i] != ':'; i++ {
		n = n*10 + int(b[i]-'0')
	}
	c.off = i + 1 + n
	return b[i+1 : c.off : c.off]
}

// num reads an integer.
func (c *cursor) num() int64 {
	b, i := c.b, c.off+1
	neg := b[i] == '-'
	if neg {
		i++
	}
	n := int64(0)
	for ; b[i] != 'e'; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	c.off = i + 1
	if neg {
		return -n // also correct for the least integer, which is its own negative
	}
	return n
}

// strings appends the first most strings of a list to list. It returns false if the
// value is not a list of strings.
func (c *cursor) strings(list [][]byte, most int) ([][]byte, bool) {
	if c.next() != 'l' {
		return list, false
	}
	c.enter()
	for c.more() {
		if !c.isString() {
			return list, false
		}
		if s := c.str(); len(list) < most {
			list = append(list, s)
		}
	}
	return list, true
}

// skip reads a value of any type.
func (c *cursor) skip() {
	for depth := 0; ; {
		switch c.b[c.off] {
		case 'i':
			for c.b[c.off] != 'e' {
				c.off++
			}
			c.off++
		case 'l', 'd':
			c.off++
			depth++
		case 'e':
			c.off++
			depth--
		default:
			c.str()
		}
		if depth == 0 {
			return
		}
	}
}
