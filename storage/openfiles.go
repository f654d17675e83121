package storage

import (
	"os"
	"sync"
	"sync/atomic"
)

// openFile is an open file or an open directory; the other field is nil.
type openFile struct {
	file  *os.File
	root  *os.Root
	write bool
}

func (o openFile) close() {
	if o.file != nil {
		o.file.Close()
	}
	if o.root != nil {
		o.root.Close()
	}
}

// slot holds the handle of one file or directory while it is open.
type slot struct {
	h  atomic.Pointer[handle]
	mu sync.Mutex // held while the handle is opened, never while it is used
}

// hit returns the open handle with a new reference, or nil.
func (s *slot) hit(write bool) *handle {
	h := s.h.Load()
	if h != nil && (h.write || !write) && h.acquire() {
		return h
	}
	return nil
}

// drop closes the handle once it has no references.
func (s *slot) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked()
}

func (s *slot) dropLocked() {
	if h := s.h.Swap(nil); h != nil {
		h.retire()
	}
}

// retired is a bit in the state of a handle: the handle is closed when it has no
// references. The bits below it count the references.
const retired = 1 << 30

// handle is an open descriptor with a reference count.
type handle struct {
	openFile
	state atomic.Int32
	used  atomic.Bool // used since the clock hand last passed
	slot  *slot
	cache *cache
	index int // index in cache.ring
}

// acquire takes a reference. It returns false if the handle is retired.
func (h *handle) acquire() bool {
	for {
		n := h.state.Load()
		if n >= retired {
			return false
		}
		if h.state.CompareAndSwap(n, n+1) {
			if !h.used.Load() {
				h.used.Store(true)
			}
			return true
		}
	}
}

// release drops a reference.
func (h *handle) release() {
	switch h.state.Add(-1) {
	case retired:
		h.cache.closed(h)
	case 0:
		if h.cache.waiting.Load() > 0 {
			h.cache.wake()
		}
	}
}

// retire closes the handle as soon as it has no references.
func (h *handle) retire() {
	for {
		n := h.state.Load()
		if n >= retired {
			return
		}
		if h.state.CompareAndSwap(n, n|retired) {
			if n == 0 {
				h.cache.closed(h)
			}
			return
		}
	}
}

// cache holds up to limit handles and evicts with the CLOCK algorithm. Files and
// directories have separate caches, because opening a file needs a handle of its directory:
// in a shared cache, goroutines could fill the cache with directories and then wait for
// each other.
type cache struct {
	waiting atomic.Int32         // number of goroutines in cond.Wait
	relieve func(tries int) bool // closes descriptors if the process has none left

	mu      sync.Mutex
	cond    sync.Cond
	limit   int
	count   int // handles that are open, being opened or being closed
	ring    []*handle
	hand    int
	opened  uint64
	evicted uint64
}

func (c *cache) init(limit int, relieve func(tries int) bool) {
	c.limit, c.relieve = max(limit, 1), relieve
	c.cond.L = &c.mu
}

// get returns the handle of s with a new reference. It opens the file or directory if
// needed.
func (c *cache) get(s *slot, write bool, open func() (openFile, error)) (*handle, error) {
	if h := s.hit(write); h != nil {
		return h, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.hit(write); h != nil {
		return h, nil
	}
	s.dropLocked() // it is open for reading only
	c.reserve()
	o, err := open()
	for try := 0; classify(err, false) == ErrDescriptors && c.relieve(try); try++ {
		o, err = open()
	}
	if err != nil {
		c.unreserve()
		return nil, err
	}
	h := &handle{openFile: o, slot: s, cache: c}
	h.state.Store(1)
	h.used.Store(true)
	c.mu.Lock()
	h.index = len(c.ring)
	c.ring = append(c.ring, h)
	c.opened++
	c.mu.Unlock()
	s.h.Store(h)
	return h, nil
}

// reserve waits until the cache has space for one handle.
func (c *cache) reserve() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.count >= c.limit {
		h := c.victim()
		if h == nil {
			// Check again after increasing waiting, because a release before that would not
			// have woken this goroutine.
			c.waiting.Add(1)
			h = c.victim()
			if h == nil {
				c.cond.Wait()
			}
			c.waiting.Add(-1)
		}
		if h != nil {
			c.evicted++
			c.mu.Unlock()
			c.closed(h)
			c.mu.Lock()
		}
	}
	c.count++
}

func (c *cache) unreserve() {
	c.mu.Lock()
	c.count--
	c.cond.Broadcast()
	c.mu.Unlock()
}

// evict closes one handle without references, and reports whether there was one.
func (c *cache) evict() bool {
	c.mu.Lock()
	h := c.victim()
	if h != nil {
		c.evicted++
	}
	c.mu.Unlock()
	if h == nil {
		return false
	}
	c.closed(h)
	return true
}

// victim retires a handle without references that was not used since the clock hand
// last passed, and removes it from its slot. The caller holds c.mu.
func (c *cache) victim() *handle {
	for range 2 * len(c.ring) {
		c.hand++
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		h := c.ring[c.hand]
		if h.used.Swap(false) {
			continue
		}
		if h.state.CompareAndSwap(0, retired) {
			h.slot.h.CompareAndSwap(h, nil)
			return h
		}
	}
	return nil
}

// closed closes a retired handle without references, and wakes the goroutines that wait for
// space.
func (c *cache) closed(h *handle) {
	h.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.ring) - 1
	c.ring[h.index] = c.ring[last]
	c.ring[h.index].index = h.index
	c.ring[last] = nil
	c.ring = c.ring[:last]
	c.count--
	c.cond.Broadcast()
}

func (c *cache) wake() {
	c.mu.Lock()
	c.cond.Broadcast()
	c.mu.Unlock()
}

// drain closes all handles without references, and the others when they are released.
func (c *cache) drain() {
	c.mu.Lock()
	all := append([]*handle(nil), c.ring...)
	c.mu.Unlock()
	for _, h := range all {
		h.slot.h.CompareAndSwap(h, nil)
		h.retire()
	}
}
