package eventstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// item is an element of the list of a world.
type item struct {
	Name  string
	Value int
}

// world is what the hub of a test watches. Only one goroutine changes it at a time, because the tests
// change it while all others wait.
type world struct {
	*testing.T
	hub   *Hub
	items []item
	polls int
	err   error
	tell  func(string, any) // nil while the hub does not want to know
}

// newWorld returns a world with n items, whose value is 0. most is the limit of a message.
func newWorld(t *testing.T, n, most int) *world {
	w := &world{T: t}
	for i := range n {
		w.items = append(w.items, item{Name: fmt.Sprint(i)})
	}
	list := &List[item]{
		Load: func(context.Context) ([]item, error) {
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

// next returns the next message, which must be of a kind and come within two seconds. The kind "" is for
// none.
func (w *world) next(l *Listener, kind string) Message {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Second)
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
		w.items[1].Value = 7
		synctest.Wait()
		w.items[1].Value = 8
		w.items = append(w.items[1:], item{"new", 1})
		m := w.next(l, "items")
		changed, removed := w.changes(m)
		if !slices.Equal(changed, []item{{"1", 8}, {"new", 1}}) || !slices.Equal(removed, []string{"0"}) {
			t.Errorf("changed %v, removed %v", changed, removed)
		}
		begin := time.Now()
		for n := range 3 {
			w.items[0].Value = 100 + n
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
		w.items[0].Value = 1
		w.next(other, "items")
		w.tell("event", "told")
		told := w.next(other, "event")
		other.Close()
		time.Sleep(time.Minute)
		polls := w.polls
		time.Sleep(time.Minute)
		if w.polls != polls {
			t.Error("the list was read without a listener")
		}
		w.tell("event", "nobody listens")
		w.items[1].Value = 2

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
		w.items[0].Value = 9
		w.next(l, "items")
		l.Close()
	})
}

// TestSlowListener checks that the memory for a listener that does not read is bounded, by the number
// of messages and by their size, and that it gets a reset.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, maxBytes / 10} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1, 0)
			slow, _ := w.listen("", Reset)
			defer slow.Close()
			fast, _ := w.listen("", Reset)
			defer fast.Close()
			text := strings.Repeat("x", size)
			for range min(maxMessages, 3*maxBytes/size) + 10 {
				w.tell("event", text)
				w.next(fast, "event")
			}
			if h := w.hub; len(h.ring) > maxMessages || h.bytes > maxBytes || h.bytes != len(h.ring)*(size+2) {
				t.Errorf("%d messages with %d bytes are kept", len(h.ring), h.bytes)
			}
			m := w.next(slow, Reset)
			w.next(slow, "")
			w.tell("event", "last")
			if next := w.next(slow, "event"); next.ID == m.ID {
				t.Error("two messages have one ID")
			}
			w.tell("event", strings.Repeat("x", 2*maxBytes))
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
				w.items[i].Value = round + 1
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
		w.err = errors.New("the disk is on fire")
		l, _ := w.listen("", Reset)
		defer l.Close()
		w.next(l, "")
		w.err = nil
		w.next(l, Reset)
		w.items[0].Value++
		w.next(l, "items")
		w.err = errors.New("again")
		w.items[0].Value++
		w.next(l, "")
		w.err = nil
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
