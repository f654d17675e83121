package eventstream

import (
	"bytes"
	"context"
	"encoding/json"
)

// List is a [Source] that finds the elements of a list that were added, changed or removed.
type List[T any] struct {
	Load func(ctx context.Context) ([]T, error)
	Key  func(*T) string // names an element; no other has this key
	Same func(a, b *T) bool
	// Show returns what is told of changed elements: an array in JSON.
	Show func(ctx context.Context, changed []T) (any, error)
	Max  int // of the changed elements in a message; the others wait for the next one. 0: no limit

	known  map[string]*element[T]
	polls  uint64
	start  int // index of the element to look at first, so that every element gets its turn
	loaded bool
}

// element is an element as the listeners know it.
type element[T any] struct {
	value T
	seen  uint64 // number of the last poll in which the list had it
}

// Changes is the data of a message of a [List].
type Changes struct {
	Changed any      `json:"changed"`
	Removed []string `json:"removed"`
}

// Poll implements [Source].
func (l *List[T]) Poll(ctx context.Context) (any, error) {
	now, err := l.Load(ctx)
	if err != nil {
		return nil, err
	}
	l.polls++
	changed := l.compare(now)
	c := Changes{Removed: l.removed()}
	if !l.loaded || len(changed) == 0 && len(c.Removed) == 0 {
		l.loaded = true
		return nil, nil
	}
	if c.Changed, err = l.Show(ctx, changed); err != nil {
		l.Forget() // the listeners have to load the list again
		return nil, err
	}
	return c, nil
}

// compare returns elements that differ from the known ones, and remembers them.
func (l *List[T]) compare(now []T) []T {
	if l.known == nil {
		l.known = make(map[string]*element[T], len(now))
	}
	changed := []T{}
	next := 0
	if l.start >= len(now) {
		l.start = 0
	}
	for n := range now {
		at := (l.start + n) % len(now)
		v := &now[at]
		key := l.Key(v)
		e := l.known[key]
		if e != nil {
			e.seen = l.polls
			if l.Same(&e.value, v) {
				continue
			}
		}
		if l.loaded && l.Max > 0 && len(changed) == l.Max {
			if next == 0 {
				next = at
			}
			continue
		}
		if e == nil {
			e = &element[T]{seen: l.polls}
			l.known[key] = e
		}
		e.value = *v
		if l.loaded {
			changed = append(changed, *v)
		}
	}
	l.start = next
	return changed
}

// removed forgets and returns the keys of the elements that the list no longer has.
func (l *List[T]) removed() []string {
	gone := []string{}
	for key, e := range l.known {
		if e.seen != l.polls {
			gone = append(gone, key)
			delete(l.known, key)
		}
	}
	return gone
}

// Forget implements [Source].
func (l *List[T]) Forget() { l.known, l.loaded, l.start = nil, false, 0 }

// Value is a [Source] that tells a whole value when it has changed.
type Value struct {
	Load func(ctx context.Context) (any, error)

	last []byte // nil: unknown
}

// Poll implements [Source].
func (v *Value) Poll(ctx context.Context) (any, error) {
	now, err := v.Load(ctx)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(now)
	if err != nil {
		return nil, err
	}
	before := v.last
	v.last = b
	if before == nil || bytes.Equal(before, b) {
		return nil, nil
	}
	return json.RawMessage(b), nil
}

// Forget implements [Source].
func (v *Value) Forget() { v.last = nil }
