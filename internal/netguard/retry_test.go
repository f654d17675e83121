package netguard

import (
	"net/http"
	"testing"
	"time"
)

// TestRetryAfter checks both forms of the Retry-After header, and its bounds.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "+1": 0, "1.5": 0, "soon": 0, "0x10": 0,
		"86400": MaxRetryAfter, "31536000": MaxRetryAfter, "99999999999999999999999": MaxRetryAfter,
		"Sun, 22 Nov 2026 12:01:00 GMT": time.Minute, "Sun, 22 Nov 2026 11:00:00 GMT": 0, "Sun, 22 Nov 2099 12:00:00 GMT": MaxRetryAfter,
		"Sunday, 22-Nov-26 12:01:00 GMT": time.Minute, "Sun Nov 22 12:01:00 2026": time.Minute,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {in}}, now); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

// TestTemporary checks which statuses are worth another request.
func TestTemporary(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{
		200: false, 206: false, 304: false, 400: false, 401: false, 403: false, 404: false, 410: false, 416: false,
		408: true, 425: true, 429: true, 500: true, 501: false, 502: true, 503: true, 504: true, 505: false, 507: true, 520: true, 599: true,
	} {
		if got := Temporary(status); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
}

// TestBackoffPause checks the growth, the bounds and the random part of the pauses.
func TestBackoffPause(t *testing.T) {
	t.Parallel()
	b := Backoff{5 * time.Second, 10 * time.Minute}
	for _, c := range []struct {
		before int
		asked  time.Duration
		want   time.Duration
	}{
		{0, 0, 5 * time.Second}, {1, 0, 10 * time.Second}, {6, 0, 320 * time.Second}, {7, 0, 10 * time.Minute}, {1000, 0, 10 * time.Minute},
		{0, time.Minute, time.Minute}, {9, time.Minute, 10 * time.Minute}, {0, MaxRetryAfter, MaxRetryAfter},
	} {
		for range 20 {
			if got := b.Pause(c.before, c.asked); got < c.want || got > c.want*5/4 {
				t.Errorf("%+v: %v", c, got)
			}
		}
	}
}
