package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// suffixes are the units that [ParseBytes] accepts, in lower case.
var suffixes = []struct {
	suffix string
	factor int64
}{
	{"ki", 1 << 10}, {"mi", 1 << 20}, {"gi", 1 << 30}, {"ti", 1 << 40},
	{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"t", 1e12},
}

// ParseBytes parses a number of bytes: "16384", "256KiB", "1.5M", "2 Gi". Units without
// an i are decimal, case does not matter, and a trailing B is optional. ParseBytes
// returns an error for negative numbers and for numbers that overflow an int64.
func ParseBytes(s string) (int64, error) {
	num := strings.ToLower(strings.TrimSpace(s))
	num = strings.TrimSpace(strings.TrimSuffix(num, "b"))
	factor := int64(1)
	for _, u := range suffixes {
		if rest, ok := strings.CutSuffix(num, u.suffix); ok {
			num, factor = strings.TrimSpace(rest), u.factor
			break
		}
	}
	bad := fmt.Errorf("%q is not a size (write a number of bytes, or 256KiB, 1MiB, 1.5G)", s)
	if num == "" || strings.Trim(num, "0123456789.") != "" {
		return 0, bad
	}
	if n, err := strconv.ParseInt(num, 10, 64); err == nil {
		if n > math.MaxInt64/factor {
			return 0, fmt.Errorf("%q is too large", s)
		}
		return n * factor, nil
	}
	f, err := strconv.ParseFloat(num, 64)
	if err != nil {
		return 0, bad
	}
	f *= float64(factor)
	if f >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return int64(f), nil
}

// ParseRate parses a number of bytes per second, written like a size with an optional
// "/s": "500k", "2M/s", "1Mi".
func ParseRate(s string) (int64, error) {
	n, err := ParseBytes(strings.TrimSuffix(strings.TrimSpace(s), "/s"))
	if err != nil {
		return 0, fmt.Errorf("%q is not a rate (bytes a second, or 500k, 2M, 1Mi; 0 for no limit)", s)
	}
	return n, nil
}
