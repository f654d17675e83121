package cli

import (
	"sync"

	"spate/internal/reach"
)

// reachNews prints whether others can connect, and each change. With --json it prints events,
// but only after the event "ready", which contains the status itself.
type reachNews struct {
	app *app

	mu    sync.Mutex
	ready bool // guarded by mu: the event "ready" was printed
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
	case n.app.JSON && n.ready:
		n.app.PrintJSON(reachEvent{"reachable", s})
	case !n.app.JSON && line != "":
		n.app.Notef("reachable  %s", line)
	}
}

// print calls f, which prints the event "ready".
func (n *reachNews) print(f func() error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ready = true
	return f()
}

// knownReach returns a status for an event, or nil if nothing is known.
func knownReach(s reach.Status) *reach.Status {
	if s == (reach.Status{}) {
		return nil
	}
	return &s
}
