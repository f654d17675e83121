package httpcontent

import (
	"fmt"
	"strconv"
	"strings"
)

// maxRanges is the maximum number of ranges of a request. With more, each of a few bytes, the
// headers of the parts would be many times larger than the request.
const maxRanges = 64

// plainRange returns the value of a Range header for which [http.ServeContent] does what value
// requires for content of size bytes: only satisfiable ranges, as first and last position. If
// no range is satisfiable, the value is one range that starts at the end. If the header has no
// effect, the value is "".
func plainRange(value string, size int64) string {
	unit, list, ok := strings.Cut(value, "=")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return ""
	}
	var plain []string
	n := 0
	for spec := range strings.SplitSeq(list, ",") {
		if spec = strings.Trim(spec, " \t"); spec == "" {
			continue // RFC 9110, 5.6.1.2
		}
		first, last, ok := parseSpec(spec, size)
		n++
		if !ok || n > maxRanges {
			return ""
		}
		if first > last && first == 0 {
			return "" // the last bytes of empty content, which are all of it
		}
		if first < size {
			plain = append(plain, fmt.Sprintf("%d-%d", first, last))
		}
	}
	switch {
	case n == 0:
		return ""
	case len(plain) == 0:
		return fmt.Sprintf("bytes=%d-", size)
	}
	return "bytes=" + strings.Join(plain, ",")
}

// parseSpec parses a range of content of size bytes, and reports whether its syntax is right.
// If the range is not satisfiable, first is size. For the last bytes of empty content, last is
// less than first.
func parseSpec(spec string, size int64) (first, last int64, ok bool) {
	from, to, ok := strings.Cut(spec, "-")
	switch {
	case !ok || from == "" && to == "" || strings.Trim(from+to, "0123456789") != "":
		return 0, 0, false
	case from == "":
		n := number(to, size)
		if n == 0 && strings.Trim(to, "0") == "" {
			return size, size, true
		}
		return size - n, size - 1, true
	}
	if to != "" && less(to, from) {
		return 0, 0, false
	}
	first = number(from, size)
	last = size - 1
	if to != "" {
		last = min(last, number(to, size))
	}
	if first == size {
		last = size
	}
	return first, last, true
}

// number parses digits of any length, and returns at most most.
func number(digits string, most int64) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > most {
		return most
	}
	return n
}

// less reports whether the number a is less than b. Both are digits of any length.
func less(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}
