package netguard

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter bounds the time that [RetryAfter] returns.
const MaxRetryAfter = 24 * time.Hour

// RetryAfter returns how long the server asks the client to wait in a Retry-After header (RFC
// 9110, 10.2.3), which is a number of seconds or a date. It returns at most [MaxRetryAfter],
// and 0 if the header is absent, malformed or in the past.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil { // too large
			return MaxRetryAfter
		}
		return min(time.Duration(n)*time.Second, MaxRetryAfter)
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), MaxRetryAfter))
}

// Temporary reports whether the same request may succeed later although the server answered
// with this status: the client was too slow, too early or asked too often, or the server or
// a server behind it has a problem.
func Temporary(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

// Backoff gives the pauses after failures in a row. Each pause is twice as long as the one
// before, and at most Last.
type Backoff struct{ First, Last time.Duration }

// Pause returns the pause after a failure. before is the number of failures in a row before
// it, and asked the time that the server asks the client to wait. Up to a quarter is added at
// random, so that clients that failed together do not return together.
func (b Backoff) Pause(before int, asked time.Duration) time.Duration {
	d := b.Last
	if before < 32 && b.First < b.Last>>before {
		d = b.First << before
	}
	d = max(d, asked)
	return d + rand.N(d/4+1)
}

// Sleep waits for d. It returns the error of ctx if ctx ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
