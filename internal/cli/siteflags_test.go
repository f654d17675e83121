package cli

import "testing"

// TestShares checks the values that --http-up accepts.
func TestShares(t *testing.T) {
	for in, want := range map[string]int64{"50%": 500_000, "100%": 1_000_000, "200k": 200_000, "0": 0, "1Mi": 1 << 20} {
		var v shareValue
		if err := v.Set(in); err != nil || v.of(1_000_000) != want {
			t.Errorf("%s of 1 MB/s: %d, %v", in, v.of(1_000_000), err)
		}
	}
	for _, in := range []string{"", "0%", "101%", "x%", "-5", "NaN%"} {
		if err := new(shareValue).Set(in); err == nil {
			t.Errorf("%q was accepted", in)
		}
	}
	if v := (shareValue{part: 0.5}); v.of(0) != 0 || v.String() != "50%" {
		t.Errorf("half of no limit is %d", v.of(0))
	}
}
