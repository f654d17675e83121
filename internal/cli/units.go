package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"spate/torrent"
)

// units are the suffixes of sizes: decimal as disks and links are sold, binary
// with an i. The letter's case does not matter.
var units = []struct {
	suffix string
	factor int64
}{
	{"ki", 1 << 10}, {"mi", 1 << 20}, {"gi", 1 << 30}, {"ti", 1 << 40},
	{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"t", 1e12},
}

// parseSize reads a number of bytes: 16384, 256KiB, 1.5M, 2Gi. A trailing B is
// allowed. It is never negative and never overflows.
func parseSize(s string) (int64, error) {
	num := strings.ToLower(strings.TrimSpace(s))
	num = strings.TrimSpace(strings.TrimSuffix(num, "b"))
	factor := int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(num, u.suffix); ok {
			num, factor = strings.TrimSpace(rest), u.factor
			break
		}
	}
	bad := fmt.Errorf("%q is not a size (write bytes, or 256KiB, 1MiB, 1.5G)", s)
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
	if f *= float64(factor); f >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return int64(f), nil
}

// sizeValue is a flag in bytes.
type sizeValue int64

func (v *sizeValue) Set(s string) error {
	n, err := parseSize(s)
	*v = sizeValue(n)
	return err
}
func (v *sizeValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*v), 10)
}
func (v *sizeValue) Type() string { return "SIZE" }

// lengthValue is a sizeValue that is not 0.
type lengthValue struct{ sizeValue }

func (v *lengthValue) Set(s string) error {
	if err := v.sizeValue.Set(s); err != nil || v.sizeValue > 0 {
		return err
	}
	return errors.New("it must not be 0")
}

// rateValue is a flag in bytes a second; 0 means unlimited.
type rateValue int64

func (v *rateValue) Set(s string) error {
	n, err := parseSize(strings.TrimSuffix(strings.TrimSpace(s), "/s"))
	if err != nil {
		return fmt.Errorf("%q is not a rate (bytes a second, or 500k, 2M, 1Mi; 0 for no limit)", s)
	}
	*v = rateValue(n)
	return nil
}
func (v *rateValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*v), 10)
}
func (v *rateValue) Type() string { return "RATE" }

// seedWhen says how long get seeds what it has fetched.
type seedWhen struct {
	forever bool
	ratio   float64       // uploaded / size; 0: no such limit
	time    time.Duration // 0: no such limit
}

func (v *seedWhen) none() bool { return *v == seedWhen{} }

func (v *seedWhen) Set(s string) error {
	*v = seedWhen{}
	key, val, _ := strings.Cut(s, "=")
	var err error
	switch {
	case s == "none":
		return nil
	case s == "forever":
		v.forever = true
		return nil
	case key == "ratio":
		if v.ratio, err = strconv.ParseFloat(val, 64); err == nil && v.ratio > 0 && v.ratio < 1e9 {
			return nil
		}
	case key == "time":
		if v.time, err = time.ParseDuration(val); err == nil && v.time > 0 {
			return nil
		}
	}
	*v = seedWhen{}
	return fmt.Errorf("%q is not none, forever, ratio=1.5 or time=2h", s)
}

func (v *seedWhen) String() string {
	switch {
	case v.forever:
		return "forever"
	case v.ratio > 0:
		return "ratio=" + strconv.FormatFloat(v.ratio, 'g', -1, 64)
	case v.time > 0:
		return "time=" + v.time.String()
	}
	return "none"
}
func (v *seedWhen) Type() string { return "WHEN" }

// seedModeValue is a flag that says who is served while seeding.
type seedModeValue torrent.SeedMode

var seedModes = []string{torrent.SeedRoundRobin: "round-robin", torrent.SeedAntiLeech: "anti-leech"}

func (v *seedModeValue) Set(s string) error {
	i := slices.Index(seedModes, s)
	if i < 0 {
		return fmt.Errorf("%q is not %s", s, strings.Join(seedModes, " or "))
	}
	*v = seedModeValue(i)
	return nil
}
func (v *seedModeValue) String() string { return seedModes[*v] }
func (v *seedModeValue) Type() string   { return "MODE" }
