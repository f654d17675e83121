package daemon

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"spate/internal/ratelimit"
	"spate/internal/schedule"
	"spate/site"
)

// rateLimits are the limits of all senders and receivers of a publisher. Every limit that applies
// holds: those that the user gave, those of the schedule and the monthly volume, and the one that is
// learned from the line, which [uplink.Line] applies itself.
type rateLimits struct {
	direct *ratelimit.Limiter // of direct downloads, while a limit other than --up applies

	mu       sync.Mutex      // guards the fields below
	timed    schedule.Limits // of the schedule and the monthly volume
	http     int64           // bytes a second of direct downloads
	up, down int64           // what the engine has

	pausing context.Context // ends when a pause begins; nil before the first direct download
	pause   context.CancelFunc
}

// untilPause returns a context that ends when a pause begins, or that has ended during a pause.
func (l *rateLimits) untilPause() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pausing == nil || l.pausing.Err() != nil && !l.timed.Pause {
		l.pausing, l.pause = context.WithCancel(context.Background())
		if l.timed.Pause {
			l.pause()
		}
	}
	return l.pausing
}

// timedLimits returns the limits of the schedule and the monthly volume.
func (l *rateLimits) timedLimits() schedule.Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.timed
}

// setTimedLimits sets the limits of the schedule and the monthly volume.
func (p *Publisher) setTimedLimits(to schedule.Limits) {
	p.rates.mu.Lock()
	p.rates.timed = to
	if to.Pause && p.rates.pause != nil {
		p.rates.pause()
	}
	p.rates.mu.Unlock()
	p.applyRates()
}

// directPart is the part of a limit for sending that direct downloads may use, as the default of
// --http-up is: 1/directPart.
const directPart = 2

// applyRates gives the engine and the direct downloads their limits. What direct downloads send is
// taken from the limit of the engine, so that both together stay below it.
func (p *Publisher) applyRates() {
	r := &p.rates
	r.mu.Lock()
	defer r.mu.Unlock()
	all := schedule.Limits{Up: p.session.up.Load(), Down: p.session.down.Load()}.And(r.timed)
	up, down := all.Rates()
	var direct int64
	switch {
	case all.Pause:
		direct = schedule.PausedRate
	case up != p.conf.Session.Options.Up: // otherwise the site has its part of --up
		direct = max(min(1, up), up/directPart)
	}
	if up > 0 && !all.Pause {
		up = max(1, up/10, up-r.http)
	}
	if up != r.up || down != r.down {
		r.up, r.down = up, down
		p.session.Session.SetRates(up, down)
	}
	if r.direct != nil && direct != r.direct.Rate() {
		r.direct.SetRate(direct)
	}
}

// shareUplink keeps the uploads of the engine and the site together below the limit for sending: it
// reduces the limit of the engine by the rate of direct downloads in the previous second.
func (p *Publisher) shareUplink(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	before := p.site.SentAll()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := p.site.SentAll()
		p.room.http.Store(now - before)
		p.rates.mu.Lock()
		p.rates.http = now - before
		p.rates.mu.Unlock()
		p.applyRates()
		before = now
	}
}

// directLimit returns the limits of each direct download besides those of the site: the one of all
// direct downloads and, if the session learns one, that of the uplink.
func (p *Publisher) directLimit() func(*http.Request) site.SendLimit {
	line := p.session.httpUplink()
	return func(r *http.Request) site.SendLimit {
		l := directLimit{all: p.rates.direct, pause: p.rates.untilPause()}
		if line != nil {
			l.line = line(r)
		}
		return l
	}
}

// directLimit is the limit of a direct download. It implements [site.SendLimit].
type directLimit struct {
	all   *ratelimit.Limiter
	line  site.SendLimit  // nil: none
	pause context.Context // ends when a pause begins, which ends the download
}

// errPaused is the error of a direct download that a pause ends. Its client can go on later with a
// range, and is told then when to come again.
var errPaused = errors.New("nothing is sent at present")

// Batch implements [site.SendLimit].
func (l directLimit) Batch() int {
	n := l.all.Batch()
	if l.line != nil {
		n = min(n, l.line.Batch())
	}
	return n
}

// WaitLater implements [site.SendLimit].
func (l directLimit) WaitLater(ctx context.Context, n int) error {
	if l.pause.Err() != nil {
		return errPaused
	}
	if l.all.Rate() > 0 {
		waiting, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(l.pause, func() { cancel(errPaused) })()
		if err := l.all.WaitLater(waiting, n); err != nil {
			return cmp.Or(context.Cause(waiting), err)
		}
	}
	if l.line == nil {
		return nil
	}
	return l.line.WaitLater(ctx, n)
}

// GiveBack implements [site.SendLimit].
func (l directLimit) GiveBack(n int) {
	l.all.GiveBack(n)
	if l.line != nil {
		l.line.GiveBack(n)
	}
}
