package trackerclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"spate/tracker"
)

// ErrNoTrackers is the error of announcing to an empty list.
var ErrNoTrackers = errors.New("no trackers")

// Announcer is what Tiers needs of a [Client].
type Announcer interface {
	Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error)
}

// Tiers is the announce list of one torrent (BEP 12): tiers are tried in order,
// the trackers of a tier in an order that is random at first and in which those
// that answered move to the front. Its methods may be called concurrently; none
// holds the lock during an announce.
type Tiers struct {
	mu    sync.Mutex
	tiers [][]string
	heard []heard // of the trackers that answered; a process may hold a great many Tiers
	last  string  // the URL that answered last
}

// heard is what one tracker answered.
type heard struct {
	url   string
	id    string // the tracker id it gave
	known bool   // it has us in its list
}

// from returns what the tracker at url answered; nil if it never did.
func (t *Tiers) from(url string) *heard {
	for i := range t.heard {
		if t.heard[i].url == url {
			return &t.heard[i]
		}
	}
	return nil
}

// NewTiers copies tiers, leaves out empty and repeated URLs and shuffles each
// tier by rng; nil: by the process's own randomness.
func NewTiers(tiers [][]string, rng *rand.Rand) *Tiers {
	t := &Tiers{}
	if len(tiers) == 1 && len(tiers[0]) == 1 && tiers[0][0] != "" {
		t.tiers = [][]string{{tiers[0][0]}}
		return t
	}
	seen := map[string]bool{"": true}
	for _, tier := range tiers {
		var own []string
		for _, u := range tier {
			if !seen[u] {
				seen[u] = true
				own = append(own, u)
			}
		}
		swap := func(i, j int) { own[i], own[j] = own[j], own[i] }
		if rng != nil {
			rng.Shuffle(len(own), swap)
		} else {
			rand.Shuffle(len(own), swap)
		}
		if len(own) > 0 {
			t.tiers = append(t.tiers, own)
		}
	}
	return t
}

// URLs returns the trackers in the order in which they would be tried now.
func (t *Tiers) URLs() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Concat(t.tiers...)
}

// Current returns the tracker that answered last, "" where none has yet.
func (t *Tiers) Current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// Announce asks the trackers one after the other until one answers, and returns
// its answer and its URL. A tracker that has not heard of us is told "started"
// whatever regular announce req is. The events "completed" and "stopped" go to
// the tracker that answered last before any other, and "stopped" to no tracker
// that does not know us. When nobody answers, the error is that of every
// tracker, joined; nothing is retried here.
func (t *Tiers) Announce(ctx context.Context, c Announcer, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, string, error) {
	order := t.order(req.Event)
	if len(order) == 0 {
		return nil, "", ErrNoTrackers
	}
	var errs []error
	for _, url := range order {
		own := t.prepare(url, req)
		resp, err := c.Announce(ctx, url, &own)
		if err == nil {
			t.answered(url, own.Event, resp.TrackerID)
			return resp, url, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, "", nobodyError(errs)
}

// nobodyError are the errors of trackers of which none answered.
type nobodyError []error

// Error is one line, with the first few.
func (e nobodyError) Error() string {
	const most = 3
	var b strings.Builder
	for i, err := range e[:min(most, len(e))] {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	if more := len(e) - most; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return b.String()
}

func (e nobodyError) Unwrap() []error { return e }

// order returns the trackers to try for an announce with event.
func (t *Tiers) order(event tracker.Event) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	order := slices.Concat(t.tiers...)
	switch event {
	case tracker.EventCompleted, tracker.EventStopped:
		if i := slices.Index(order, t.last); i > 0 {
			order = slices.Insert(slices.Delete(order, i, i+1), 0, t.last)
		}
	}
	if event == tracker.EventStopped {
		order = slices.DeleteFunc(order, func(u string) bool {
			h := t.from(u)
			return h == nil || !h.known
		})
	}
	return order
}

// prepare returns req as the tracker at url is to see it.
func (t *Tiers) prepare(url string, req *tracker.AnnounceRequest) tracker.AnnounceRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := *req
	h := t.from(url)
	if h != nil {
		own.TrackerID = h.id
	}
	if own.Event == tracker.EventNone && (h == nil || !h.known) {
		own.Event = tracker.EventStarted
	}
	return own
}

// answered notes an answer: the tracker moves to the front of its tier.
func (t *Tiers) answered(url string, event tracker.Event, id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.from(url)
	if h == nil {
		t.heard = append(t.heard, heard{url: url})
		h = &t.heard[len(t.heard)-1]
	}
	h.known = event != tracker.EventStopped
	if h.known {
		t.last = url
	}
	if id != "" {
		h.id = id
	}
	for _, tier := range t.tiers {
		if i := slices.Index(tier, url); i > 0 {
			copy(tier[1:i+1], tier[:i])
			tier[0] = url
		}
	}
}
