package bencode

import "math"

// parseInt parses the integer that starts with the 'i' at off. end is the offset after
// it.
func parseInt(b []byte, off int) (n int64, end int, err *SyntaxError) {
	i := off + 1
	neg := i < len(b) && b[i] == '-'
	if neg {
		i++
	}
	first := i
	var u uint64
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		digit := uint64(b[i] - '0')
		if u > (math.MaxUint64-digit)/10 {
			return 0, 0, &SyntaxError{Offset: off, Reason: "integer over 64 bits"}
		}
		u = u*10 + digit
	}
	switch {
	case i >= len(b):
		return 0, 0, truncated(i)
	case b[i] != 'e' || i == first:
		return 0, 0, &SyntaxError{Offset: i, Reason: "bad integer"}
	case b[first] == '0' && (i-first > 1 || neg):
		return 0, 0, &SyntaxError{Offset: first, Reason: "integer with a leading zero"}
	case neg && u <= 1<<63:
		return -int64(u), i + 1, nil
	case neg || u > math.MaxInt64:
		return 0, 0, &SyntaxError{Offset: off, Reason: "integer over 64 bits"}
	}
	return int64(u), i + 1, nil
}

// parseString parses the length of the string at off, where b must have a digit. The
// content of the string is b[start:end].
func parseString(b []byte, off int) (start, end int, err *SyntaxError) {
	n, i := 0, off
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		n = n*10 + int(b[i]-'0')
		if n > len(b) {
			return 0, 0, truncated(len(b))
		}
	}
	switch {
	case i >= len(b):
		return 0, 0, truncated(i)
	case b[i] != ':':
		return 0, 0, &SyntaxError{Offset: i, Reason: "bad length of a string"}
	case b[off] == '0' && i-off > 1:
		return 0, 0, &SyntaxError{Offset: off, Reason: "length with a leading zero"}
	case n > len(b)-i-1:
		return 0, 0, truncated(len(b))
	}
	return i + 1, i + 1 + n, nil
}
