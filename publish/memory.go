package publish

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"spate"
)

// Memory is a [Catalog] that lives as long as the process: what `spate publish`
// needs.
type Memory struct {
	mu     sync.RWMutex
	byName map[string]entry
	// order has newest first; a change replaces it, so that readers keep theirs.
	order []*Release
}

type entry struct {
	release *Release
	torrent []byte
}

// NewMemory returns an empty catalog.
func NewMemory() *Memory { return &Memory{byName: map[string]entry{}} }

// Put implements [Catalog].
func (m *Memory) Put(_ context.Context, r *Release, torrent []byte) error {
	full := *r
	full.TorrentSize = len(torrent)
	full.Reindex()
	listed := full.withoutFiles()

	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.byName[r.Name]; taken {
		return fmt.Errorf("%w: %q", ErrExists, r.Name)
	}
	m.byName[r.Name] = entry{&full, bytes.Clone(torrent)}
	at, _ := slices.BinarySearchFunc(m.order, listed, newestFirst)
	order := make([]*Release, 0, len(m.order)+1)
	order = append(order, m.order[:at]...)
	order = append(order, listed)
	m.order = append(order, m.order[at:]...)
	return nil
}

// Delete implements [Catalog].
func (m *Memory) Delete(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.byName[name]; !ok {
		return fmt.Errorf("%w: %q", ErrNotFound, name)
	}
	delete(m.byName, name)
	m.order = slices.DeleteFunc(slices.Clone(m.order), func(r *Release) bool { return r.Name == name })
	return nil
}

// SetSums implements [Catalog].
func (m *Memory) SetSums(_ context.Context, name string, ih spate.InfoHash, sums [][32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byName[name]
	if !ok {
		return fmt.Errorf("%w: %q", ErrNotFound, name)
	}
	r, err := e.release.withSums(ih, sums)
	if err != nil {
		return err
	}
	e.release = r
	m.byName[name] = e
	m.order = slices.Clone(m.order)
	m.order[slices.IndexFunc(m.order, func(r *Release) bool { return r.Name == name })] = r.withoutFiles()
	return nil
}

// Get implements [Catalog].
func (m *Memory) Get(_ context.Context, name string) (*Release, error) {
	e, err := m.entry(name)
	return e.release, err
}

// Torrent implements [Catalog].
func (m *Memory) Torrent(_ context.Context, name string) ([]byte, error) {
	e, err := m.entry(name)
	return e.torrent, err
}

func (m *Memory) entry(name string) (entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	e, ok := m.byName[name]
	if !ok {
		return entry{}, fmt.Errorf("%w: %q", ErrNotFound, name)
	}
	return e, nil
}

// List implements [Catalog].
func (m *Memory) List(_ context.Context, q Query) ([]*Release, int, error) {
	m.mu.RLock()
	order := m.order
	m.mu.RUnlock()

	if words := strings.Fields(strings.ToLower(q.Text)); len(words) > 0 {
		var match []*Release
		for _, r := range order {
			name := strings.ToLower(r.Name)
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(name, w) }) {
				match = append(match, r)
			}
		}
		order = match
	}
	total := len(order)
	order = order[min(max(q.Offset, 0), total):]
	if q.Limit > 0 {
		order = order[:min(q.Limit, len(order))]
	}
	return slices.Clone(order), total, nil
}

// withoutFiles is r as lists have it.
func (r *Release) withoutFiles() *Release {
	short := *r
	short.Files, short.index = nil, nil
	return &short
}

func newestFirst(a, b *Release) int {
	if c := b.Published.Compare(a.Published); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}
