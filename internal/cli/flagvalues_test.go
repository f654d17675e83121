package cli

import (
	"testing"
	"time"
)

// TestRateFlag checks the parser of rates.
func TestRateFlag(t *testing.T) {
	var r rateValue
	if err := r.Set("500k/s"); err != nil || r != 500000 {
		t.Errorf("rate 500k/s = %d, %v", r, err)
	}
}

// TestSeedWhen checks the values that --seed accepts.
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
