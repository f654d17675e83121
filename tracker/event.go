package tracker

import "fmt"

// Event says why a peer announces. The values are those of BEP 15.
type Event uint8

// The events of BEP 3 and BEP 21.
const (
	EventNone      Event = 0 // a regular announce
	EventCompleted Event = 1 // the download has just become complete
	EventStarted   Event = 2 // the first announce
	EventStopped   Event = 3 // the last announce: the peer leaves the swarm
	EventPaused    Event = 4 // a partial seed: wants nothing more although it lacks pieces (BEP 21)
)

var eventNames = [...]string{"", "completed", "started", "stopped", "paused"}

// Valid reports whether e is one of the events above.
func (e Event) Valid() bool { return int(e) < len(eventNames) }

// String returns the name that HTTP announces use; empty for [EventNone].
func (e Event) String() string {
	if e.Valid() {
		return eventNames[e]
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}

// ParseEvent reads the name of an event as HTTP announces send it; the empty
// name is [EventNone].
func ParseEvent(name string) (Event, error) {
	for e, n := range eventNames {
		if n == name {
			return Event(e), nil
		}
	}
	return EventNone, fmt.Errorf("unknown event %.20q", name)
}
