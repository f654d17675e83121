package torrent

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// SessionEvent is a change of one torrent of a session.
type SessionEvent struct {
	Torrent *Torrent
	Event
}

// sessionEvents delivers the events of all torrents of a session.
type sessionEvents struct {
	any atomic.Bool // subs is not empty

	mu   sync.Mutex // guards the fields below; taken under Torrent.mu
	subs []*SessionSubscription
}

// SessionSubscription delivers the events of all torrents of a session. It is safe for concurrent
// use.
type SessionSubscription struct {
	s       *Session
	c       chan SessionEvent
	dropped atomic.Int64
}

// Subscribe delivers the events of kind [EventState] and [EventDone] of all torrents of the session
// from now on, also of torrents that are added later. Up to buffer events wait to be read. Further
// events are dropped and counted. Unlike [Torrent.Subscribe] it does not keep torrents from becoming
// dormant.
func (s *Session) Subscribe(buffer int) *SessionSubscription {
	sub := &SessionSubscription{s: s, c: make(chan SessionEvent, buffer)}
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	s.events.subs = append(s.events.subs, sub)
	s.events.any.Store(true)
	return sub
}

// Events returns the channel of the events. Close closes it; the end of the session does not.
func (s *SessionSubscription) Events() <-chan SessionEvent { return s.c }

// Dropped returns the number of events that were dropped because they were not read in time.
func (s *SessionSubscription) Dropped() int64 { return s.dropped.Load() }

// Close ends the subscription. A second call does nothing.
func (s *SessionSubscription) Close() {
	e := &s.s.events
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(e.subs, s); i >= 0 {
		e.subs = slices.Delete(e.subs, i, i+1)
		e.any.Store(len(e.subs) > 0)
		close(s.c)
	}
}

// tell sends an event of t, whose lock is held, to all subscribers.
func (s *sessionEvents) tell(t *Torrent, e Event) {
	if e.Kind == EventPiece || !s.any.Load() {
		return
	}
	e.Time, e.State, e.Err = time.Now(), t.status.state, t.status.err
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		select {
		case sub.c <- SessionEvent{t, e}:
		default:
			sub.dropped.Add(1)
		}
	}
}
