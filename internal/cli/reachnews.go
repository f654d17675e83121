package cli

import (
	"sync"

	"spate/internal/reach"
)

// reachNews prints whether others can connect, and each change. With --json it prints events,
// but only after the event "ready", which contains the status itself.
type reachNews struct {
	app *app

	mu    sync.Mutex   // guards the fields below
	ready bool         // the event "ready" was printed
	last  reach.Status // in the last event
}

// reachEvent is the event that publish, seed and serve print with --json after a change.
type reachEvent struct {
	Event string `json:"event"` // "reachable"
	reach.Status
}

// told is called with the first status and each change.
func (n *reachNews) told(s reach.Status) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch line := s.String(); {
	case n.app.JSON && n.ready && s != n.last:
		n.last = s
		n.app.PrintJSON(reachEvent{"reachable", s})
	case !n.app.JSON && line != "":
		n.app.Notef("reachable  %s", line)
	}
}

// print calls f, which prints the event "ready" with the status s.
func (n *reachNews) print(s reach.Status, f func(*reach.Status) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ready, n.last = true, s
	return f(knownReach(s))
}

// knownReach returns a status for an event, or nil if nothing is known.
func knownReach(s reach.Status) *reach.Status {
	if s == (reach.Status{}) {
		return nil
	}
	return &s
}
