package site

import (
	"strconv"
	"strings"
)

// plainRange changes the value of a Range header so that [http.ServeContent] handles it as
// RFC 9110, 14.1 requires for a file of size bytes. ServeContent alone rejects units other
// than bytes and numbers with many digits, and accepts a range of the last 0 bytes.
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

// isHuge reports whether s is a number with so many digits that it may not fit in an int64.
func isHuge(s string) bool { return isNumber(s) && len(s) > 18 }
