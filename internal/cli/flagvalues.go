package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"spate/internal/units"
	"spate/torrent"
)

// sizeValue is a flag in bytes.
type sizeValue int64

func (v *sizeValue) Set(s string) error {
	n, err := units.ParseBytes(s)
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
	n, err := units.ParseRate(s)
	*v = rateValue(n)
	return err
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
