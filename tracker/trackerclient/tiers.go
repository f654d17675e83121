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

// ErrNoTrackers is returned by [Tiers.Announce] if the list is empty.
var ErrNoTrackers = errors.New("no trackers")

// Announcer is the part of [Client] that Tiers uses.
type Announcer interface {
	Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error)
}

// Tiers is the announce list of one torrent (BEP 12). Its tiers are tried in order. The
// trackers of a tier are shuffled at first; a tracker that responds moves to the front.
// Tiers is safe for concurrent use and does not hold its lock during an announce.
type Tiers struct {
	mu     sync.Mutex
	tiers  [][]string
	states []trackerState // one for each tracker that has responded; a slice because a process may hold many Tiers
	last   string         // URL of the tracker that responded last
}

// trackerState is the state of one tracker.
type trackerState struct {
	url   string
	id    string // the tracker id that it sent
	known bool   // the tracker lists this peer
	maybe bool   // an announce was canceled, which the tracker may have received
}

// state returns the state of the tracker at url, or nil if it has never responded.
func (t *Tiers) state(url string) *trackerState {
	for i := range t.states {
		if t.states[i].url == url {
			return &t.states[i]
		}
	}
	return nil
}

// MaxTrackers is the number of trackers that [NewTiers] uses at most, because the author of a
// torrent could make its peers ask any number of servers.
const MaxTrackers = 100

// NewTiers copies tiers, removes empty and repeated URLs and those after the first
// [MaxTrackers], and shuffles each tier with rng. If rng is nil it uses the global random
// source.
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
			if !seen[u] && len(seen) <= MaxTrackers {
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

// Current returns the URL of the tracker that responded last, or "" if none has.
func (t *Tiers) Current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// Listed records that the tracker at url lists this peer because of an announce outside of t, in
// which it sent the tracker id.
func (t *Tiers) Listed(url, id string) { t.answered(url, tracker.EventStarted, id) }

// Announce tries the trackers in order until one responds, and returns the response and
// the URL of the tracker. A regular announce to a tracker that does not list this peer
// is sent as "started". "completed" and "stopped" go first to the tracker that
// responded last. "stopped" goes to every tracker that lists this peer or may list it,
// because an announce to it was canceled; Announce returns the first response. If all
// trackers fail, Announce returns their errors joined. It does not retry.
func (t *Tiers) Announce(ctx context.Context, c Announcer, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, string, error) {
	order := t.order(req.Event)
	if len(order) == 0 {
		return nil, "", ErrNoTrackers
	}
	var errs []error
	var first *tracker.AnnounceResponse
	var from string
	for _, url := range order {
		own := t.prepare(url, req)
		resp, err := c.Announce(ctx, url, &own)
		if err != nil {
			errs = append(errs, err)
			if ctx.Err() != nil {
				t.canceled(ctx, url, own.Event)
				break
			}
			continue
		}
		t.answered(url, own.Event, resp.TrackerID)
		if first == nil {
			first, from = resp, url
		}
		if own.Event != tracker.EventStopped {
			break
		}
	}
	if first == nil {
		return nil, "", allFailedError(errs)
	}
	return first, from, nil
}

// canceled records that an announce ended with its context. If the context was canceled, the
// tracker may have received the announce and list this peer.
func (t *Tiers) canceled(ctx context.Context, url string, event tracker.Event) {
	if event == tracker.EventStopped || !errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.state(url)
	if h == nil {
		t.states = append(t.states, trackerState{url: url})
		h = &t.states[len(t.states)-1]
	}
	h.maybe = true
}

// allFailedError holds the errors of all trackers.
type allFailedError []error

// Error returns the first three errors in one line.
func (e allFailedError) Error() string {
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

func (e allFailedError) Unwrap() []error { return e }

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
			h := t.state(u)
			return h == nil || !h.known && !h.maybe
		})
	}
	return order
}

// prepare returns the announce to send to the tracker at url.
func (t *Tiers) prepare(url string, req *tracker.AnnounceRequest) tracker.AnnounceRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := *req
	h := t.state(url)
	if h != nil {
		own.TrackerID = h.id
	}
	if own.Event == tracker.EventNone && (h == nil || !h.known) {
		own.Event = tracker.EventStarted
	}
	return own
}

// answered records a response. It moves the tracker to the front of its tier.
func (t *Tiers) answered(url string, event tracker.Event, id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.state(url)
	if h == nil {
		t.states = append(t.states, trackerState{url: url})
		h = &t.states[len(t.states)-1]
	}
	h.known, h.maybe = event != tracker.EventStopped, false
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
