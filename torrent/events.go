package torrent

import (
	"slices"
	"sync/atomic"
	"time"
)

// EventKind is the kind of an [Event].
type EventKind uint8

// The kinds of events.
const (
	EventPiece EventKind = iota // a piece was verified and written
	EventState                  // the state of the torrent changed
	EventDone                   // every wanted piece was verified and written
)

// String returns the kind as a word for logs and JSON.
func (k EventKind) String() string {
	switch k {
	case EventPiece:
		return "piece"
	case EventState:
		return "state"
	case EventDone:
		return "done"
	}
	return "unknown"
}

// eventState delivers the events of a torrent. Torrent.mu guards it.
type eventState struct {
	subs []*Subscription
	wake chan struct{} // closed at the next event; nil while nothing waits for one
	over bool          // no more events are delivered
}

// Event is a change of a torrent.
type Event struct {
	Kind  EventKind
	Time  time.Time
	Piece int   // index of the piece of an EventPiece; otherwise 0
	State State // state of the torrent after the event
	Err   error // why State is StateFailed; otherwise nil
}

// Subscription delivers the events of one torrent. It is safe for concurrent use.
type Subscription struct {
	t       *Torrent
	c       chan Event // closed under the torrent's lock
	dropped atomic.Int64
}

// Subscribe delivers the events of the torrent from now on. Up to buffer events wait to be
// read. Further events are dropped and counted, so that a slow reader does not block the
// torrent. After a drop, [Torrent.Stats] has the current state.
func (t *Torrent) Subscribe(buffer int) *Subscription {
	s := &Subscription{t: t, c: make(chan Event, buffer)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.events.over {
		close(s.c)
	} else {
		t.events.subs = append(t.events.subs, s)
	}
	return s
}

// Events returns the channel of the events. It is closed by Close, and when the torrent is
// removed or its session closes.
func (s *Subscription) Events() <-chan Event { return s.c }

// Dropped returns the number of events that were dropped because they were not read in time.
func (s *Subscription) Dropped() int64 { return s.dropped.Load() }

// Close ends the subscription. A second call does nothing.
func (s *Subscription) Close() {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if i := slices.Index(s.t.events.subs, s); i >= 0 {
		s.t.events.subs = slices.Delete(s.t.events.subs, i, i+1)
		close(s.c)
	}
}

// emitLocked sends an event to all subscribers and wakes the readers that wait for a piece.
func (t *Torrent) emitLocked(e Event) {
	if t.events.wake != nil {
		close(t.events.wake)
		t.events.wake = nil
	}
	t.s.events.tell(t, e)
	if len(t.events.subs) == 0 {
		return
	}
	e.Time, e.State, e.Err = time.Now(), t.status.state, t.status.err
	for _, s := range t.events.subs {
		select {
		case s.c <- e:
		default:
			s.dropped.Add(1)
		}
	}
}

// setStateLocked sets the state, and emits an event if that changes it.
func (t *Torrent) setStateLocked(s State) {
	if t.status.state != s {
		t.status.state = s
		t.rates.received = time.Now()
		t.dormancy.running.Store(s == StateDownloading || s == StateSeeding)
		t.emitLocked(Event{Kind: EventState})
	}
}

// nextEventLocked returns a channel that is closed at the next event.
func (t *Torrent) nextEventLocked() <-chan struct{} {
	if t.events.wake == nil {
		t.events.wake = make(chan struct{})
	}
	return t.events.wake
}

// endEvents closes all subscriptions at the end of the torrent.
func (t *Torrent) endEvents() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events.over = true
	for _, s := range t.events.subs {
		close(s.c)
	}
	t.events.subs = nil
}
