package bencode

import "strconv"

// AppendInt appends the integer n to b.
func AppendInt(b []byte, n int64) []byte {
	b = append(b, 'i')
	b = strconv.AppendInt(b, n, 10)
	return append(b, 'e')
}

// AppendString appends the string s to b. It is also used for dictionary keys, which
// the caller must append in sorted order.
func AppendString[S ~string | ~[]byte](b []byte, s S) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

// AppendDict appends the start of a dictionary to b. [AppendEnd] ends it.
func AppendDict(b []byte) []byte { return append(b, 'd') }

// AppendList appends the start of a list to b. [AppendEnd] ends it.
func AppendList(b []byte) []byte { return append(b, 'l') }

// AppendEnd appends the end of the innermost list or dictionary to b.
func AppendEnd(b []byte) []byte { return append(b, 'e') }
