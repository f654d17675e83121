package torrent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"spate/tracker"
	"spate/tracker/trackerclient"
)

// trackerGate keeps the announces of many torrents from a tracker that does not
// answer: after gateAfter failures in a row one torrent at a time tries it, after
// pauses that grow, and the others are told at once that it is down. A tracker
// that answers, if only with a refusal, is not down.
type trackerGate struct {
	next Announcer

	mu   sync.Mutex
	down map[string]*downTracker // by URL: those that failed last
}

// downTracker is a tracker that did not answer.
type downTracker struct {
	fails int       // in a row
	at    time.Time // of the last of them
	until time.Time // nobody asks before
	err   error     // of the last
}

// gateAfter is how many failures in a row close the gate. Of a single torrent the
// pauses are longer than those of the gate.
const gateAfter = 3

// trackerDownError is the error for not asking a tracker that is down.
type trackerDownError struct {
	url   string
	until time.Time
	err   error
}

func (e *trackerDownError) Error() string {
	return fmt.Sprintf("%s does not answer: %v", e.url, e.err)
}

func (e *trackerDownError) Unwrap() error { return e.err }

// Announce implements [Announcer].
func (g *trackerGate) Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	began := time.Now()
	if err := g.enter(url, began); err != nil {
		return nil, err
	}
	resp, err := g.next.Announce(ctx, url, req)
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.down[url]
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		// It was given up; that says nothing of the tracker.
	case err == nil || !unreachable(err):
		delete(g.down, url)
	case d == nil:
		if g.down == nil {
			g.down = map[string]*downTracker{}
		}
		g.down[url] = &downTracker{fails: 1, at: time.Now(), err: err}
	case !began.Before(d.at): // and not together with the failure before
		d.fails++
		d.at, d.err = time.Now(), err
		if d.fails >= gateAfter {
			d.until = d.at.Add(min(lastRetry, firstRetry<<min(d.fails-gateAfter, 10)))
		}
	}
	return resp, err
}

// unreachable reports whether err says that nobody answered at all.
func unreachable(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var silence *trackerclient.SilenceError
	return errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &silence) || errors.Is(err, context.DeadlineExceeded)
}

// enter reports an error while the tracker at url is down and it is not this
// announce's turn to see whether it still is.
func (g *trackerGate) enter(url string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.down[url]
	if d == nil || d.fails < gateAfter {
		return nil
	}
	if now.Before(d.until) {
		return &trackerDownError{url, d.until, d.err}
	}
	d.until = now.Add(announceTimeout) // the others wait for the outcome
	return nil
}
