package eventstream

import (
	"context"
	"strconv"
	"time"
)

// Listener gets the messages of a [Hub]. Only one goroutine may use it.
type Listener struct {
	hub    *Hub
	ready  chan struct{} // of the polls that ran when it came
	next   uint64        // number of the next message
	reset  bool          // the next message is a reset
	closed bool
}

// Next returns the next message. It waits for one until ctx ends, and then returns the error of ctx. A
// listener that is so slow that the messages for it are no longer kept gets a [Reset] instead of them.
func (l *Listener) Next(ctx context.Context) (Message, error) {
	select {
	case <-l.ready: // a reset before promises too much
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
	for {
		m, more := l.take()
		if more == nil {
			return m, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

// take returns the next message, or a channel that is closed when there is one.
func (l *Listener) take() (Message, chan struct{}) {
	h := l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if oldest := h.oldestLocked(); l.reset || l.next < oldest {
		l.reset, l.next = false, h.last+1
		return Message{ID: h.idLocked(h.last), Event: Reset, Data: []byte("{}")}, nil
	} else if l.next <= h.last {
		m := h.ring[l.next-oldest]
		l.next++
		return Message{ID: h.idLocked(l.next - 1), Event: m.event, Data: m.data}, nil
	}
	return Message{}, h.more
}

// idLocked returns the ID of a message.
func (h *Hub) idLocked(n uint64) string { return h.epoch + "-" + strconv.FormatUint(n, 10) }

// Close ends the listener. The sources are not polled any more when the last one has ended. A second
// call does nothing.
func (l *Listener) Close() {
	if l.closed {
		return
	}
	l.closed = true
	h := l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners--
	if h.listeners > 0 {
		return
	}
	h.stop()
	h.forget = time.AfterFunc(keep, h.release)
}
