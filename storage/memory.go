package storage

import (
	"bytes"
	"fmt"
	"os"
	"sync"
)

// memoryPage is the size in bytes of an allocation of a Memory: one block.
const memoryPage = 16 << 10

// Memory is a [Storage] in memory for tests and simulations. It allocates memory for a page
// when the page is first written; other pages read as zeros.
type Memory struct {
	mu     sync.RWMutex
	pages  [][]byte // nil for a page that was never written
	n      int64
	like   []byte // expected content; pages that equal it are shared with it
	syncs  int
	closed bool
}

var _ Storage = (*Memory)(nil)

// NewMemory returns an empty Memory with a byte space of n bytes.
func NewMemory(n int64) *Memory {
	return &Memory{n: n, pages: make([][]byte, (n+memoryPage-1)/memoryPage)}
}

// NewMemoryLike returns an empty Memory for data that will probably equal content. A page
// that is written with the same data as content takes no memory. NewMemoryLike keeps
// content, which must not change. The peers of a simulation can therefore share one copy of
// the data.
func NewMemoryLike(content []byte) *Memory {
	m := NewMemory(int64(len(content)))
	m.like = content
	return m
}

// NewMemoryOf returns a Memory that holds content. It keeps content, which must not
// change.
func NewMemoryOf(content []byte) *Memory {
	m := NewMemoryLike(content)
	for i := range m.pages {
		m.pages[i] = m.likePage(i)
	}
	return m
}

// likePage returns page i of the expected content, with no spare capacity.
func (m *Memory) likePage(i int) []byte {
	from := i * memoryPage
	to := min(from+memoryPage, len(m.like))
	return m.like[from:to:to]
}

// Len returns the length of the byte space.
func (m *Memory) Len() int64 { return m.n }

// Syncs returns the number of calls of Sync.
func (m *Memory) Syncs() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.syncs
}

// HasData implements [DataFinder]. It reports whether any page of the n bytes from off
// was written.
func (m *Memory) HasData(off, n int64) bool { return m.NextData(off) < min(off+n, m.n) }

// NextData implements [DataFinder].
func (m *Memory) NextData(off int64) int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for i := max(off, 0) / memoryPage; i < int64(len(m.pages)); i++ {
		if m.pages[i] != nil {
			return max(off, i*memoryPage)
		}
	}
	return m.n
}

// ReadAt implements [Storage].
func (m *Memory) ReadAt(p []byte, off int64) (int, error) {
	if err := inRange("read", off, len(p), m.n); err != nil {
		return 0, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return 0, fmt.Errorf("read: %w", os.ErrClosed)
	}
	for done := 0; done < len(p); {
		i, at := off/memoryPage, int(off%memoryPage)
		part := p[done:min(len(p), done+memoryPage-at)]
		if page := m.pages[i]; page != nil {
			copy(part, page[at:])
		} else {
			clear(part)
		}
		done += len(part)
		off += int64(len(part))
	}
	return len(p), nil
}

// WriteAt implements [Storage].
func (m *Memory) WriteAt(p []byte, off int64) (int, error) {
	if err := inRange("write", off, len(p), m.n); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, fmt.Errorf("write: %w", os.ErrClosed)
	}
	for done := 0; done < len(p); {
		i, at := int(off/memoryPage), int(off%memoryPage)
		part := p[done:min(len(p), done+memoryPage-at)]
		m.writePage(i, at, part)
		done += len(part)
		off += int64(len(part))
	}
	return len(p), nil
}

// writePage writes part to page i at offset at. The caller holds m.mu.
func (m *Memory) writePage(i, at int, part []byte) {
	page := m.pages[i]
	shared := false
	if m.like != nil {
		like := m.likePage(i)
		shared = len(page) > 0 && &page[0] == &like[0]
		if (shared || page == nil && len(part) == len(like)) && bytes.Equal(part, like[at:at+len(part)]) {
			m.pages[i] = like
			return
		}
	}
	if page == nil || shared {
		own := make([]byte, min(memoryPage, m.n-int64(i)*memoryPage))
		copy(own, page)
		page, m.pages[i] = own, own
	}
	copy(page[at:], part)
}

// Sync implements [Storage]. It only counts its calls.
func (m *Memory) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.syncs++
	return nil
}

// Close implements [Storage].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.pages = nil
	return nil
}
