// Package onevent runs programs and posts to URLs when something happens in a daemon, as the [[on]]
// tables of the settings say. Neither can be set over the network.
//
// Each rule has a queue and handles one event after another, so that the number of programs that run
// at once is at most the number of rules. An event that finds a full queue is dropped and logged.
// Events are not kept over a restart.
package onevent

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// queued limits the events that wait for one rule.
const queued = 256

// Options configure a [Runner].
type Options struct {
	Environ   []string          // environment of the programs, to which the values of the event are added
	Transport http.RoundTripper // nil: that of net/http, which honours HTTP_PROXY
	Log       *slog.Logger
	Now       func() time.Time
}

// Runner does what its rules say. It is safe for concurrent use.
type Runner struct {
	opt   Options
	rules []queue
}

// queue is a rule with the events that wait for it.
type queue struct {
	Rule
	events chan Event
}

// New returns a runner for rules, which Check has accepted.
func New(rules []Rule, opt Options) *Runner {
	r := &Runner{opt: opt}
	for _, rule := range rules {
		if rule.Timeout == 0 {
			rule.Timeout = time.Minute
		}
		r.rules = append(r.rules, queue{rule, make(chan Event, queued)})
	}
	return r
}

// Tell hands an event to the rules that name its kind, and returns at once. A nil runner has no
// rules.
func (r *Runner) Tell(e Event) {
	if r == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = r.opt.Now().UTC()
	}
	for i := range r.rules {
		q := &r.rules[i]
		for _, k := range q.Events {
			if k != e.Kind {
				continue
			}
			select {
			case q.events <- e:
			default:
				r.opt.Log.Warn("an event was dropped, because too many wait", "event", e.Kind, "rule", q.String())
			}
			break
		}
	}
}

// Run handles events until ctx ends. It then ends what runs, and returns nil.
func (r *Runner) Run(ctx context.Context) error {
	if r == nil {
		return nil
	}
	var wg sync.WaitGroup
	for i := range r.rules {
		wg.Go(func() { r.work(ctx, &r.rules[i]) })
	}
	wg.Wait()
	return nil
}

// work handles the events of one rule until ctx ends.
func (r *Runner) work(ctx context.Context, q *queue) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-q.events:
			log := r.opt.Log.With("event", e.Kind, "rule", q.String())
			if len(q.Run) > 0 {
				r.run(ctx, &q.Rule, &e, log)
			} else {
				r.post(ctx, &q.Rule, &e, log)
			}
		}
	}
}
