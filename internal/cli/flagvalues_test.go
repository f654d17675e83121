package cli

import (
	"strings"
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

// TestPeerFlag checks which values --peer accepts.
func TestPeerFlag(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:6881":       "192.0.2.1:6881",
		"[2001:db8::1]:65535":  "[2001:db8::1]:65535",
		"[::ffff:192.0.2.1]:1": "192.0.2.1:1",
		"[fe80::1%eth0]:6881":  "[fe80::1%eth0]:6881",
		"[fe80::1%2]:6881":     "[fe80::1%2]:6881",
		"[2001:db8::1%eth0]:1": "[2001:db8::1]:1",
		"[fe80::1]:6881":       "",
		"fe80::1%eth0:6881":    "",
		"[fe80::1%]:6881":      "",
		"[fe80::1%eth0]":       "",
		"[fe80::1%eth0]:0":     "",
		"[fe80::1%eth0]:65536": "",
		"192.0.2.1":            "",
		"":                     "",
	} {
		var v peersValue
		err := v.Set(in)
		if (err != nil) != (want == "") || v.String() != want {
			t.Errorf("--peer %q: %q, %v, want %q", in, v.String(), err, want)
		}
	}
	var v peersValue
	if err := v.Set("[fe80::1]:6881"); err == nil || !strings.Contains(err.Error(), "[fe80::1%eth0]:6881") {
		t.Errorf("the error of a link-local address without an interface is %v", err)
	}
}
