package publish

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"spate"
)

// Memory is a [Catalog] in memory. Its content is lost when the process ends.
type Memory struct {
	index *Index

	mu      sync.RWMutex
	byRef   map[string]entry
	history map[spate.InfoHash]map[string]Counts // by day
	totals  map[spate.InfoHash]Counts            // sums of history; the zero hash stands for all releases
}

type entry struct {
	release  *Release
	torrents Torrents
}

// NewMemory returns an empty catalog.
func NewMemory() *Memory {
	return &Memory{index: NewIndex(), byRef: map[string]entry{}, history: map[spate.InfoHash]map[string]Counts{}, totals: map[spate.InfoHash]Counts{}}
}

// Put implements [Catalog].
func (m *Memory) Put(_ context.Context, r *Release, t Torrents) error {
	full := r.Filled(t)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.index.Add(full); err != nil {
		return err
	}
	m.byRef[full.Ref()] = entry{full, t.clone()}
	m.index.HoldAddress(full.Slug)
	return nil
}

// Delete implements [Catalog].
func (m *Memory) Delete(_ context.Context, ref string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.index.Remove(ref) {
		return fmt.Errorf("%w: %q", ErrNotFound, ref)
	}
	delete(m.byRef, ref)
	return nil
}

func (t Torrents) clone() Torrents {
	return Torrents{bytes.Clone(t.Main), bytes.Clone(t.Twin), bytes.Clone(t.V2Hashes)}
}

// change replaces a release by the result of f, and its torrents by t unless t is nil.
func (m *Memory) change(ref string, t *Torrents, f func(*Release) (*Release, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byRef[ref]
	if !ok {
		return fmt.Errorf("%w: %q", ErrNotFound, ref)
	}
	r, err := f(e.release)
	if err != nil {
		return err
	}
	e.release = r
	if t != nil {
		e.torrents = t.clone()
	}
	m.byRef[ref] = e
	m.index.Replace(r)
	return nil
}

// Update implements [Catalog].
func (m *Memory) Update(_ context.Context, ref string, c Change) error {
	var t *Torrents
	if c.Links != nil {
		t = &c.Links.Torrents
	}
	return m.change(ref, t, func(r *Release) (*Release, error) { return r.With(c) })
}

// SetSums implements [Catalog].
func (m *Memory) SetSums(_ context.Context, ref string, ih spate.InfoHash, sums [][32]byte) error {
	return m.change(ref, nil, func(r *Release) (*Release, error) { return r.WithSums(ih, sums) })
}

// Get implements [Catalog].
func (m *Memory) Get(_ context.Context, ref string) (*Release, error) {
	e, err := m.entry(ref)
	return e.release, err
}

// Torrents implements [Catalog].
func (m *Memory) Torrents(_ context.Context, ref string) (Torrents, error) {
	e, err := m.entry(ref)
	return e.torrents, err
}

func (m *Memory) entry(ref string) (entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, err := m.index.Resolve(ref)
	if err != nil {
		return entry{}, err
	}
	return m.byRef[r.Ref()], nil
}

// Address implements [Catalog].
func (m *Memory) Address(slug string) string { return m.index.Address(slug) }

// Find implements [Catalog].
func (m *Memory) Find(_ context.Context, ih spate.InfoHash) (*Release, error) {
	return m.index.Find(ih)
}

// Family implements [Catalog].
func (m *Memory) Family(_ context.Context, slug string) ([]*Release, error) {
	return m.index.Family(slug)
}

// List implements [Catalog].
func (m *Memory) List(_ context.Context, q Query) ([]*Release, int, error) {
	list, total := m.index.List(q)
	return list, total, nil
}

// Each implements [Catalog].
func (m *Memory) Each(ctx context.Context, f func(*Release, Torrents) error) error {
	list, _ := m.index.List(Query{All: true})
	for _, r := range list {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m.mu.RLock()
		e, ok := m.byRef[r.Ref()]
		m.mu.RUnlock()
		if !ok {
			continue // deleted meanwhile
		}
		if err := f(e.release, e.torrents); err != nil {
			return err
		}
	}
	return nil
}

// Revision implements [Catalog].
func (m *Memory) Revision() uint64 { return m.index.Revision() }

// Groups implements [Catalog].
func (m *Memory) Groups(context.Context) ([]GroupCount, error) { return m.index.Groups(), nil }

// Count implements [Catalog].
func (m *Memory) Count(_ context.Context, ih spate.InfoHash, now time.Time, c Counts) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	days := m.history[ih]
	if days == nil {
		days = map[string]Counts{}
		m.history[ih] = days
	}
	day := dayOf(now)
	days[day] = days[day].Add(c)
	m.totals[ih] = m.totals[ih].Add(c)
	if !ih.IsZero() {
		m.totals[spate.InfoHash{}] = m.totals[spate.InfoHash{}].Add(c)
	}
	return nil
}

// Total implements [Catalog].
func (m *Memory) Total(_ context.Context, ih spate.InfoHash) (Counts, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.totals[ih], nil
}

// History implements [Catalog].
func (m *Memory) History(_ context.Context, ih spate.InfoHash, since time.Time) (History, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	sum := map[string]Counts{}
	for h, days := range m.history {
		if ih.IsZero() || h == ih {
			for day, c := range days {
				sum[day] = sum[day].Add(c)
			}
		}
	}
	var out History
	for day, c := range sum {
		out.Total = out.Total.Add(c)
		if day >= dayOf(since) {
			out.Days = append(out.Days, Day{day, c})
		}
	}
	slices.SortFunc(out.Days, func(a, b Day) int { return strings.Compare(a.Date, b.Date) })
	return out, nil
}
