package eventstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// item is an element of the list of a world.
type item struct {
	Name  string
	Value int
}

// world is what the hub of a test watches.
type world struct {
	*testing.T
	hub   *Hub
	tell  func(string, any) // nil while the hub does not want to know
	mu    sync.Mutex        // guards the fields below
	items []item
	polls int
	err   error
}

// change calls f, which may change the fields that the hub reads.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// set sets the value of an element.
func (w *world) set(i, value int) { w.change(func() { w.items[i].Value = value }) }

// newWorld returns a world with n items, whose value is 0. most is the limit of a message.
func newWorld(t *testing.T, n, most int) *world {
	w := &world{T: t}
	for i := range n {
		w.items = append(w.items, item{Name: fmt.Sprint(i)})
	}
	list := &List[item]{
		Load: func(context.Context) ([]item, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.polls++
			return slices.Clone(w.items), w.err
		},
		Key:  func(i *item) string { return i.Name },
		Same: func(a, b *item) bool { return *a == *b },
		Show: func(_ context.Context, changed []item) (any, error) { return changed, nil },
		Max:  most,
	}
	w.hub = New([]Watched{{"items", time.Second, list}}, Options{MaxListeners: 3, Attach: func(tell func(string, any)) func() {
		w.tell = tell
		return func() { w.tell = nil }
	}})
	return w
}

// listen returns a listener that continues after a message, and has seen its first message, of the given kind.
func (w *world) listen(last, first string) (*Listener, Message) {
	w.Helper()
	l, err := w.hub.Listen(last)
	if err != nil {
		w.Fatal(err)
	}
	return l, w.next(l, first)
}

// next returns the next message, which must be of a kind and come within two polls. The kind "" is for
// none; the time is then between two polls.
func (w *world) next(l *Listener, kind string) Message {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 2500*time.Millisecond)
	defer cancel()
	m, err := l.Next(ctx)
	if m.Event != kind || (err != nil) != (kind == "") {
		w.Fatalf("the next message is %s %s, %v; want %q", m.Event, m.Data, err, kind)
	}
	return m
}

// changes decodes the data of a message about items.
func (w *world) changes(m Message) (changed []item, removed []string) {
	w.Helper()
	var c struct {
		Changed []item
		Removed []string
	}
	if err := json.Unmarshal(m.Data, &c); err != nil || c.Changed == nil || c.Removed == nil {
		w.Fatalf("%s: %v", m.Data, err)
	}
	return c.Changed, c.Removed
}

// TestChanges checks that a new listener gets a reset, and then what was added, changed and removed, at
// most once a second.
func TestChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 0)
		l, _ := w.listen("", Reset)
		defer l.Close()
		w.next(l, "")
		w.set(1, 7)
		synctest.Wait()
		w.set(1, 8)
		w.change(func() { w.items = append(w.items[1:], item{"new", 1}) })
		m := w.next(l, "items")
		changed, removed := w.changes(m)
		if !slices.Equal(changed, []item{{"1", 8}, {"new", 1}}) || !slices.Equal(removed, []string{"0"}) {
			t.Errorf("changed %v, removed %v", changed, removed)
		}
		begin := time.Now()
		for n := range 3 {
			w.set(0, 100+n)
			w.next(l, "items")
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("three messages took %v", took)
		}
		w.next(l, "")
	})
}

// TestResume checks that a listener that was away gets what it has missed, also when nobody listened
// meanwhile, and that any other ID leads to a reset.
func TestResume(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, 0)
		l, m := w.listen("", Reset)
		other, _ := w.listen("", Reset)
		l.Close()
		w.set(0, 1)
		w.next(other, "items")
		w.tell("event", "told")
		told := w.next(other, "event")
		other.Close()
		time.Sleep(time.Minute)
		var before, after int
		w.change(func() { before = w.polls })
		time.Sleep(time.Minute)
		w.change(func() { after = w.polls })
		if after != before {
			t.Error("the list was read without a listener")
		}
		w.tell("event", "nobody listens")
		w.set(1, 2)

		l, first := w.listen(m.ID, "items")
		if changed, _ := w.changes(first); !slices.Equal(changed, []item{{"0", 1}}) {
			t.Errorf("changed %v", changed)
		}
		if again := w.next(l, "event"); again.ID != told.ID || string(again.Data) != `"told"` {
			t.Errorf("%+v, want %+v", again, told)
		}
		w.next(l, "event")
		if changed, _ := w.changes(w.next(l, "items")); !slices.Equal(changed, []item{{"1", 2}}) {
			t.Errorf("changed %v", changed)
		}
		epoch, _, _ := strings.Cut(m.ID, "-")
		for _, id := range []string{"", "x", epoch, epoch + "-", epoch + "-99", epoch + "--1", epoch + "-+1", epoch + "-18446744073709551615", epoch + "-1e1", "-1", "x-1", "\x00", strings.Repeat("9", 1000)} {
			g, _ := w.listen(id, Reset)
			w.next(g, "")
			g.Close()
		}
		l.Close()

		time.Sleep(2 * keep)
		synctest.Wait()
		if w.tell != nil {
			t.Error("the hub still listens to events")
		}
		if h := w.hub; h.ring != nil || h.watch[0].Source.(*List[item]).known != nil {
			t.Error("the hub still remembers")
		}
		l, m = w.listen(m.ID, Reset)
		if strings.HasPrefix(m.ID, epoch) {
			t.Error("the numbers begin again in the same epoch")
		}
		w.set(0, 9)
		w.next(l, "items")
		l.Close()
	})
}

// TestSlowListener checks that the memory for a listener that does not read is bounded, by the number
// of messages and by their size, and that it gets a reset.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	const most = 100_000 // bytes
	for _, size := range []int{1, most / 10} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1, 0)
			w.hub.maxBytes = most
			slow, _ := w.listen("", Reset)
			defer slow.Close()
			fast, _ := w.listen("", Reset)
			defer fast.Close()
			text := strings.Repeat("x", size)
			for range min(maxMessages, 3*most/size) + 10 {
				w.tell("event", text)
				w.next(fast, "event")
			}
			if h := w.hub; len(h.ring) > maxMessages || h.bytes > most || h.bytes != len(h.ring)*(size+2) {
				t.Errorf("%d messages with %d bytes are kept", len(h.ring), h.bytes)
			}
			m := w.next(slow, Reset)
			w.next(slow, "")
			w.tell("event", "last")
			if next := w.next(slow, "event"); next.ID == m.ID {
				t.Error("two messages have one ID")
			}
			w.tell("event", strings.Repeat("x", 2*most))
			w.next(slow, "event") // the last message is kept whatever its size is
			w.next(fast, Reset)   // it had not read the one before
		})
	}
}

// TestManyChanges checks that a message has a limit, and that every element has its turn while all of
// them change all the time.
func TestManyChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n, most = 100, 30
		w := newWorld(t, n, most)
		l, _ := w.listen("", Reset)
		defer l.Close()
		told := map[string]int{}
		for round := range 8 {
			for i := range w.items {
				w.set(i, round+1)
			}
			changed, _ := w.changes(w.next(l, "items"))
			if len(changed) != most {
				t.Errorf("%d changes in a message", len(changed))
			}
			for _, c := range changed {
				told[c.Name]++
			}
		}
		for i := range w.items {
			if k := told[w.items[i].Name]; k < 2 || k > 3 {
				t.Errorf("element %d was told %d times in 8 messages with 30 of 100", i, k)
			}
		}
		final := map[string]int{}
		for range 3 { // 70 elements are left
			changed, _ := w.changes(w.next(l, "items"))
			for _, c := range changed {
				final[c.Name] = c.Value
			}
		}
		for name, v := range final {
			if v != 8 {
				t.Errorf("element %s has the value %d at the end", name, v)
			}
		}
		w.next(l, "")
	})
}

// TestFailure checks that listeners load everything again after a time in which changes could not be
// read.
func TestFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 0)
		w.change(func() { w.err = errors.New("the disk is on fire") })
		l, _ := w.listen("", Reset)
		defer l.Close()
		w.next(l, "")
		w.change(func() { w.err = nil })
		w.next(l, Reset)
		w.change(func() { w.items[0].Value++ })
		w.next(l, "items")
		w.change(func() { w.err = errors.New("again") })
		w.change(func() { w.items[0].Value++ })
		w.next(l, "")
		w.change(func() { w.err = nil })
		w.next(l, Reset)
		w.next(l, "")
	})
}

// TestTooMany checks the limit of the number of listeners.
func TestTooMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 0)
		var all []*Listener
		for range 3 {
			l, _ := w.listen("", Reset)
			all = append(all, l)
		}
		if _, err := w.hub.Listen(""); !errors.Is(err, ErrTooMany) {
			t.Errorf("%v", err)
		}
		all[0].Close()
		all[0].Close()
		l, _ := w.listen("", Reset)
		for _, l := range append(all, l) {
			l.Close()
		}
		if w.hub.Listeners() != 0 {
			t.Errorf("%d listeners are left", w.hub.Listeners())
		}
	})
}

// TestHourOfChurn runs an hour in which elements and listeners come and go, and checks that a listener
// that applies all messages knows the list, that each listener that comes back does too, and that the
// hub keeps no more than its limits.
func TestHourOfChurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 50, 20)
		r := rand.New(rand.NewPCG(1, 2))
		type client struct {
			l     *Listener
			last  string
			items map[string]int
		}
		clients := [2]*client{{}, {}}
		load := func(c *client) {
			c.items = map[string]int{}
			for _, i := range w.items {
				c.items[i.Name] = i.Value
			}
		}
		// read applies all messages that come until after the next poll.
		read := func(c *client) {
			ctx, cancel := context.WithTimeout(t.Context(), 1300*time.Millisecond)
			defer cancel()
			for {
				m, err := c.l.Next(ctx)
				if err != nil {
					return
				}
				c.last = m.ID
				switch m.Event {
				case Reset:
					load(c)
				case "items":
					changed, removed := w.changes(m)
					for _, name := range removed {
						delete(c.items, name)
					}
					for _, i := range changed {
						c.items[i.Name] = i.Value
					}
				}
			}
		}
		born := 50
		for minute := range 60 {
			for _, c := range clients {
				if c.l == nil && r.IntN(3) > 0 || minute == 59 && c.l == nil {
					var err error
					if c.l, err = w.hub.Listen(c.last); err != nil {
						t.Fatal(err)
					}
				} else if c.l != nil && minute < 59 && r.IntN(4) == 0 {
					c.l.Close()
					c.l = nil
				}
			}
			for range 10 {
				w.change(func() {
					w.items[r.IntN(len(w.items))].Value++
					if at := r.IntN(len(w.items)); r.IntN(2) == 0 {
						w.items = slices.Delete(w.items, at, at+1)
					} else {
						w.items = append(w.items, item{Name: fmt.Sprint(born)})
						born++
					}
				})
				for _, c := range clients {
					if c.l != nil && r.IntN(2) == 0 {
						read(c)
					}
				}
			}
			time.Sleep(42300 * time.Millisecond) // between two polls
			for _, c := range clients {
				if c.l == nil {
					continue
				}
				read(c)
				want := map[string]int{}
				for _, i := range w.items {
					want[i.Name] = i.Value
				}
				if !maps.Equal(c.items, want) {
					t.Fatalf("minute %d: a client knows %v, want %v", minute, c.items, want)
				}
			}
		}
		for _, c := range clients {
			c.l.Close()
		}
		synctest.Wait()
		if h := w.hub; len(h.ring) > maxMessages || len(h.watch[0].Source.(*List[item]).known) != len(w.items) {
			t.Errorf("%d messages and %d elements are kept", len(h.ring), len(h.watch[0].Source.(*List[item]).known))
		}
	})
}

// TestValue checks that a whole value is told when it has changed.
func TestValue(t *testing.T) {
	t.Parallel()
	n := 1
	v := &Value{Load: func(context.Context) (any, error) { return map[string]int{"n": n}, nil }}
	for _, c := range []struct {
		n    int
		want string
	}{{1, "null"}, {1, "null"}, {2, `{"n":2}`}, {2, "null"}} {
		n = c.n
		got, err := v.Poll(t.Context())
		if b, _ := json.Marshal(got); err != nil || string(b) != c.want {
			t.Errorf("%d: %s, %v, want %s", n, b, err, c.want)
		}
	}
}
