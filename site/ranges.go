package site

import (
	"strconv"
	"strings"
)

// plainRange returns the value of a Range header for size bytes in the form that
// [http.ServeContent] understands as RFC 9110, 14.1 means it: a unit that is not
// bytes is ignored, positions of any number of digits may lie behind the end, and
// the last 0 bytes are none that could be sent.
func plainRange(value string, size int64) string {
	unit, list, _ := strings.Cut(value, "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return ""
	}
	specs := strings.Split(list, ",")
	for i, spec := range specs {
		first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
		nothing := strconv.FormatInt(size, 10) + "-"
		switch {
		case !ok:
		case first == "" && isNumber(last) && strings.Trim(last, "0") == "":
			specs[i] = nothing
		case first == "" && isHuge(last):
			specs[i] = "-" + strconv.FormatInt(size, 10)
		case isHuge(first) && (last == "" || isNumber(last)):
			specs[i] = nothing
		case isNumber(first) && isHuge(last):
			specs[i] = first + "-"
		}
	}
	return "bytes=" + strings.Join(specs, ",")
}

// isNumber reports whether s consists of digits.
func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isHuge reports whether s is a number of more digits than an int64 holds for sure.
func isHuge(s string) bool { return isNumber(s) && len(s) > 18 }
