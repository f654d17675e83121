package cli

import (
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
	}{
		{"0", 0}, {"16384", 16384}, {"1k", 1000}, {"1K", 1000}, {"1kB", 1000}, {"256KiB", 256 << 10}, {"1Mi", 1 << 20},
		{"1.5M", 1500000}, {"2 GiB", 2 << 30}, {"1T", 1e12}, {"10b", 10}, {" 3m ", 3000000}, {".5k", 500},
		{"9223372036854775807", 1<<63 - 1},
	} {
		if got, err := parseSize(c.in); err != nil || got != c.want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"", "b", "k", "-1", "+1", "1e6", "0x10", "1,5", "1.2.3", "9223372036854775808", "99999999Ti", "1kk", "NaN", "inf", "1 k i"} {
		if n, err := parseSize(in); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", in, n)
		}
	}
	var r rateValue
	if err := r.Set("500k/s"); err != nil || r != 500000 {
		t.Errorf("rate 500k/s = %d, %v", r, err)
	}
}

func TestSeedWhen(t *testing.T) {
	for in, want := range map[string]seedWhen{
		"none": {}, "forever": {forever: true}, "ratio=1.5": {ratio: 1.5}, "time=90m": {time: 90 * time.Minute},
	} {
		var v seedWhen
		if err := v.Set(in); err != nil || v != want {
			t.Errorf("%s: %+v, %v", in, v, err)
		}
	}
	for _, in := range []string{"", "always", "ratio", "ratio=0", "ratio=-1", "ratio=NaN", "ratio=inf", "time=0s", "time=5"} {
		var v seedWhen
		if err := v.Set(in); err == nil {
			t.Errorf("%q was accepted as %v", in, v.String())
		}
	}
}
