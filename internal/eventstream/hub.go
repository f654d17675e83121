// Package eventstream tells listeners what has changed. A [Hub] asks its sources in an interval while
// somebody listens, and numbers the messages about what has changed. It keeps the last messages, so
// that a listener who was away for a while continues after the last message that it has. All
// listeners share the messages: a listener costs the same however slow it is.
package eventstream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Source finds changes of one thing. A [Hub] calls its methods one after another.
type Source interface {
	// Poll returns the data of a message about all that has changed since the last call, or nil if
	// nothing has. The first call, and the first after Forget, remembers the present state and
	// returns nil.
	Poll(ctx context.Context) (data any, err error)
	// Forget releases the memory of the state.
	Forget()
}

// Watched is a source of a [Hub].
type Watched struct {
	Event  string        // kind of the messages
	Every  time.Duration // minimum time between the end of a poll and the next
	Source Source
}

// Options configure a [Hub].
type Options struct {
	// Attach is called when the hub begins to remember. The hub sends a message for each call of tell,
	// until it calls detach. nil: all messages come from sources.
	Attach       func(tell func(event string, data any)) (detach func())
	MaxListeners int          // 0: 256
	Log          *slog.Logger // logs the errors of sources; nil discards them
}

// Limits of the messages that a hub keeps. It always keeps the last one, however large.
const (
	maxMessages = 1024
	maxBytes    = 8 << 20
)

// keep is how long a hub without listeners remembers the messages and the states of its sources.
const keep = 5 * time.Minute

// Reset is the kind of the message that tells a listener to load everything again.
const Reset = "reset"

// ErrTooMany says that a hub has too many listeners.
var ErrTooMany = errors.New("too many clients listen to events")

// Message is a message to a listener.
type Message struct {
	ID    string // names the position after this message: see [Hub.Listen]
	Event string
	Data  []byte // JSON on one line; shared, and must not be changed
}

// Hub hands changes to listeners. Its methods are safe for concurrent use.
type Hub struct {
	watch    []Watched
	opt      Options
	maxBytes int

	polling sync.Mutex // held while the sources are polled; guards them and based
	based   []bool     // whether the last poll of the source has succeeded

	mu        sync.Mutex // guards the fields below
	epoch     string     // of the numbers; empty: nothing is remembered
	ring      []numbered // the last messages, oldest first
	bytes     int        // of the data in ring
	last      uint64     // number of the last message
	more      chan struct{}
	listeners int
	stop      context.CancelFunc // ends the polls
	ready     chan struct{}      // closed once all sources were polled since the polls began
	detach    func()
	forget    *time.Timer
}

// numbered is a message in the ring. Its number follows from its place.
type numbered struct {
	event string
	data  []byte
}

// New returns a hub for sources.
func New(watch []Watched, opt Options) *Hub {
	if opt.MaxListeners == 0 {
		opt.MaxListeners = 256
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Hub{watch: watch, opt: opt, maxBytes: maxBytes, based: make([]bool, len(watch)), more: make(chan struct{})}
}

// Listen returns a new listener, which the caller closes. last is the ID of the last message that the
// listener has, and may be any text. If the messages after it are not kept, the first message is a
// [Reset], and each change after the listener gets it has a message. The error can be [ErrTooMany].
func (h *Hub) Listen(last string) (*Listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners >= h.opt.MaxListeners {
		return nil, ErrTooMany
	}
	h.listeners++
	if h.listeners == 1 {
		h.startLocked()
	}
	l := &Listener{hub: h, ready: h.ready}
	n, known := h.positionLocked(last)
	l.next, l.reset = n+1, !known
	return l, nil
}

// Listeners returns the number of listeners.
func (h *Hub) Listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listeners
}

// startLocked begins to poll.
func (h *Hub) startLocked() {
	if h.forget != nil {
		h.forget.Stop()
	}
	if h.epoch == "" {
		h.epoch = rand.Text()[:10]
		if h.opt.Attach != nil {
			h.detach = h.opt.Attach(h.tell)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop, h.ready = stop, make(chan struct{})
	go h.run(ctx, h.ready)
}

// positionLocked returns the number in the ID of a message, and whether all messages after it are kept.
func (h *Hub) positionLocked(id string) (n uint64, known bool) {
	number, ok := strings.CutPrefix(id, h.epoch+"-")
	n, err := strconv.ParseUint(number, 10, 64)
	return n, ok && err == nil && n <= h.last && n+1 >= h.oldestLocked()
}

// oldestLocked returns the number of the oldest message that is kept, or that of the next one.
func (h *Hub) oldestLocked() uint64 { return h.last + 1 - uint64(len(h.ring)) }

// run polls the sources until ctx ends. It closes ready after the first poll of all.
func (h *Hub) run(ctx context.Context, ready chan struct{}) {
	h.polling.Lock() // after the end of the run before
	defer h.polling.Unlock()
	due := make([]time.Time, len(h.watch))
	for i := range h.watch {
		due[i] = h.poll(ctx, i)
	}
	close(ready)
	for len(due) > 0 {
		next := slices.MinFunc(due, time.Time.Compare)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		for i := range h.watch {
			if !time.Now().Before(due[i]) {
				due[i] = h.poll(ctx, i)
			}
		}
	}
}

// poll polls a source, and returns when it is polled again.
func (h *Hub) poll(ctx context.Context, i int) (next time.Time) {
	w := &h.watch[i]
	data, err := w.Source.Poll(ctx)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			h.opt.Log.Error("what has changed cannot be read", "kind", w.Event, "err", err)
		}
		h.based[i] = false
	case !h.based[i]:
		h.based[i] = true
		h.tell(Reset, struct{}{}) // what has changed before is unknown
	case data != nil:
		h.tell(w.Event, data)
	}
	return time.Now().Add(w.Every)
}

// tell adds a message for all listeners.
func (h *Hub) tell(event string, data any) {
	b, err := json.Marshal(data)
	if err != nil {
		h.opt.Log.Error("a change cannot be told", "kind", event, "err", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.epoch == "" {
		return
	}
	h.last++
	h.ring = append(h.ring, numbered{event, b})
	h.bytes += len(b)
	drop := 0
	for h.bytes > h.maxBytes && drop < len(h.ring)-1 || len(h.ring)-drop > maxMessages {
		h.bytes -= len(h.ring[drop].data)
		drop++
	}
	h.ring = slices.Delete(h.ring, 0, drop)
	close(h.more)
	h.more = make(chan struct{})
}

// release forgets everything if there are no listeners.
func (h *Hub) release() {
	if !h.polling.TryLock() {
		return // somebody listens again
	}
	defer h.polling.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners > 0 {
		return
	}
	h.epoch, h.ring, h.bytes, h.last = "", nil, 0, 0
	if h.detach != nil {
		h.detach()
		h.detach = nil
	}
	for i := range h.watch {
		h.watch[i].Source.Forget()
		h.based[i] = false
	}
}
