package bencode

import "strconv"

// AppendInt appends the integer n.
func AppendInt(b []byte, n int64) []byte {
	b = append(b, 'i')
	b = strconv.AppendInt(b, n, 10)
	return append(b, 'e')
}

// AppendString appends the string s. It also writes dictionary keys, which the
// caller gives in rising order of their bytes.
func AppendString[S ~string | ~[]byte](b []byte, s S) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

// AppendDict opens a dictionary; [AppendEnd] closes it.
func AppendDict(b []byte) []byte { return append(b, 'd') }

// AppendList opens a list; [AppendEnd] closes it.
func AppendList(b []byte) []byte { return append(b, 'l') }

// AppendEnd closes the innermost open list or dictionary.
func AppendEnd(b []byte) []byte { return append(b, 'e') }
