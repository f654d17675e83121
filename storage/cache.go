package storage

import (
	"os"
	"sync"
	"sync/atomic"
)

// openFile is what a descriptor is good for: a file or a directory.
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

// slot is the place of one file or directory that may be open or not.
type slot struct {
	h  atomic.Pointer[handle]
	mu sync.Mutex // held while it is being opened; never while it is used
}

// hit returns the open handle with a reference, or nil.
func (s *slot) hit(write bool) *handle {
	h := s.h.Load()
	if h != nil && (h.write || !write) && h.acquire() {
		return h
	}
	return nil
}

// drop closes what is open, once nobody uses it.
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

// retired is set in a handle's state when it is to be closed. The bits below it
// count references.
const retired = 1 << 30

// handle is an open descriptor with a count of those who use it.
type handle struct {
	openFile
	state atomic.Int32
	used  atomic.Bool // since the clock's hand last passed
	slot  *slot
	home  *cache
	at    int // index in home.ring
}

// acquire takes a reference, unless the handle is to be closed.
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

// release gives a reference back.
func (h *handle) release() {
	switch h.state.Add(-1) {
	case retired:
		h.home.closed(h)
	case 0:
		if h.home.waiting.Load() > 0 {
			h.home.wake()
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
				h.home.closed(h)
			}
			return
		}
	}
}

// cache holds up to limit handles. Files and directories have one each, because
// opening a file holds a directory: in one cache, directories in use could fill
// all places and wait for each other.
type cache struct {
	waiting atomic.Int32         // goroutines in cond.Wait
	relieve func(tries int) bool // makes room in the process

	mu      sync.Mutex
	cond    sync.Cond
	limit   int
	count   int // handles open or being opened or closed
	ring    []*handle
	hand    int
	opened  uint64
	evicted uint64
}

func (c *cache) init(limit int, relieve func(tries int) bool) {
	c.limit, c.relieve = max(limit, 1), relieve
	c.cond.L = &c.mu
}

// get returns the handle of s with a reference, opening it if it must.
func (c *cache) get(s *slot, write bool, open func() (openFile, error)) (*handle, error) {
	if h := s.hit(write); h != nil {
		return h, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.hit(write); h != nil {
		return h, nil
	}
	s.dropLocked() // open for reading only
	c.reserve()
	o, err := open()
	for try := 0; classify(err, false) == ErrDescriptors && c.relieve(try); try++ {
		o, err = open()
	}
	if err != nil {
		c.unreserve()
		return nil, err
	}
	h := &handle{openFile: o, slot: s, home: c}
	h.state.Store(1)
	h.used.Store(true)
	c.mu.Lock()
	h.at = len(c.ring)
	c.ring = append(c.ring, h)
	c.opened++
	c.mu.Unlock()
	s.h.Store(h)
	return h, nil
}

// reserve waits for room for one handle.
func (c *cache) reserve() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.count >= c.limit {
		h := c.victim()
		if h == nil {
			// Look again after saying that we wait: a release before that
			// would not have woken us.
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

// evict closes one handle that nobody uses, and reports whether there was one.
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

// victim retires a handle without references that was not used since the hand
// last came by, and takes it out of its slot. The caller holds c.mu.
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

// closed closes a handle that is retired and has no references, and makes room.
func (c *cache) closed(h *handle) {
	h.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.ring) - 1
	c.ring[h.at] = c.ring[last]
	c.ring[h.at].at = h.at
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

// drain closes every handle, or has it closed when it is released.
func (c *cache) drain() {
	c.mu.Lock()
	all := append([]*handle(nil), c.ring...)
	c.mu.Unlock()
	for _, h := range all {
		h.slot.h.CompareAndSwap(h, nil)
		h.retire()
	}
}
