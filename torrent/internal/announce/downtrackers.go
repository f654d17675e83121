package announce

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"spate/tracker/trackerclient"
)

// closeAfter is the number of failures in a row after which the gate closes for a tracker.
// A single swarm waits longer after a failure than the gate does.
const closeAfter = 3

// gate keeps many swarms from announcing to a tracker that does not answer. After
// closeAfter failures in a row it lets only one announce at a time through, after pauses
// that grow. All other announces fail at once. A tracker that answers, even with a failure,
// is not down. The zero value is ready to use.
type gate struct {
	mu   sync.Mutex
	down map[string]*downTracker // trackers whose last announce failed, by URL
}

// downTracker is the state of a tracker whose last announce failed.
type downTracker struct {
	failures int       // failures in a row
	at       time.Time // time of the last failure
	until    time.Time // no announce is let through before this time
	err      error     // error of the last failure
}

// downError is the error of an announce that the gate did not let through.
type downError struct {
	url   string
	until time.Time
	err   error
}

func (e *downError) Error() string { return fmt.Sprintf("%s does not answer: %v", e.url, e.err) }

func (e *downError) Unwrap() error { return e.err }

// enter returns a *downError if the tracker at url is down, unless this announce shall find
// out whether the tracker answers again.
func (g *gate) enter(url string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.down[url]
	if d == nil || d.failures < closeAfter {
		return nil
	}
	if now.Before(d.until) {
		return &downError{url, d.until, d.err}
	}
	d.until = now.Add(timeout) // other announces wait for the outcome of this one
	return nil
}

// leave records the outcome of an announce that entered at the time began.
func (g *gate) leave(ctx context.Context, url string, began time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d, now := g.down[url], time.Now()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		// The caller canceled the announce, which says nothing about the tracker.
	case err == nil || !unreachable(err):
		delete(g.down, url)
	case d == nil:
		if g.down == nil {
			g.down = map[string]*downTracker{}
		}
		g.down[url] = &downTracker{failures: 1, at: now, err: err}
	case !began.Before(d.at): // an announce at the same time as the failed one does not count
		d.failures++
		d.at, d.err = now, err
		if d.failures >= closeAfter {
			d.until = now.Add(min(lastRetry, firstRetry<<min(d.failures-closeAfter, 10)))
		}
	}
}

// unreachable reports whether err means that the tracker did not answer at all.
func unreachable(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var silence *trackerclient.SilenceError
	return errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &silence) || errors.Is(err, context.DeadlineExceeded)
}
