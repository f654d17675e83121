package wire

import "strings"

// unescape20 decodes value into dst. It returns wrong if that is not 20 bytes.
func unescape20(dst *[20]byte, value []byte, wrong QueryError) error {
	if len(value) > 3*len(dst) {
		return wrong
	}
	n := 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch c {
		case '%':
			if i+2 >= len(value) {
				return ErrEscape
			}
			hi, ok1 := unhex(value[i+1])
			lo, ok2 := unhex(value[i+2])
			if !ok1 || !ok2 {
				return ErrEscape
			}
			c = hi<<4 | lo
			i += 2
		case '+':
			c = ' '
		}
		if n == len(dst) {
			return wrong
		}
		dst[n] = c
		n++
	}
	if n != len(dst) {
		return wrong
	}
	return nil
}

// appendUnescaped appends the decoded value to dst, which may hold at most limit bytes.
func appendUnescaped(dst, value []byte, limit int) ([]byte, error) {
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch c {
		case '%':
			if i+2 >= len(value) {
				return dst, ErrEscape
			}
			hi, ok1 := unhex(value[i+1])
			lo, ok2 := unhex(value[i+2])
			if !ok1 || !ok2 {
				return dst, ErrEscape
			}
			c = hi<<4 | lo
			i += 2
		case '+':
			c = ' '
		}
		if len(dst) == limit {
			return dst, ErrQueryTooLarge
		}
		dst = append(dst, c)
	}
	return dst, nil
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// appendEscaped appends v, escaping all bytes except the unreserved ones of RFC 3986.
func appendEscaped(b, v []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range v {
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("-_.~", c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}
