package swarm

import (
	"sync"
	"sync/atomic"
)

// segSize is the size in bytes of a segment. It is small, because each shard has one
// that is half full on average, but two pages of memory, so that a free segment can be
// returned to the system.
const segSize = 8 << 10

// slabSize is the size in bytes of the memory that the table gets from the system at
// once.
const slabSize = 4 << 20

// pool allocates segments outside of the Go heap. The garbage collector neither scans
// this memory nor counts it when it decides when to run.
type pool struct {
	mu        sync.Mutex
	slabs     [][]byte     // all mapped memory
	fresh     []byte       // part of the last slab that was never allocated
	cached    [][]byte     // free segments that are still in memory
	discarded [][]byte     // free segments whose pages were returned to the system
	out       atomic.Int64 // number of allocated segments; written with mu held
}

// get returns a segment with undefined content.
func (p *pool) get() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Add(1)
	for _, list := range []*[][]byte{&p.cached, &p.discarded} {
		if n := len(*list); n > 0 {
			seg := (*list)[n-1]
			*list = (*list)[:n-1]
			return seg
		}
	}
	if len(p.fresh) < segSize {
		p.fresh = mapMemory(slabSize)
		p.slabs = append(p.slabs, p.fresh)
	}
	seg := p.fresh[:segSize:segSize]
	p.fresh = p.fresh[segSize:]
	return seg
}

// put frees a segment. It keeps free segments in memory up to 1/8 of the allocated
// ones.
func (p *pool) put(seg []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Add(-1)
	if len(p.cached) < int(p.out.Load()/8)+16 || !discard(seg) {
		p.cached = append(p.cached, seg)
	} else {
		p.discarded = append(p.discarded, seg)
	}
}

// bytes returns the size of allocated segments and of free ones that are still in
// memory.
func (p *pool) bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return (p.out.Load() + int64(len(p.cached))) * segSize
}

// close unmaps all memory.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slabs {
		unmapMemory(s)
	}
	p.slabs, p.fresh, p.cached, p.discarded = nil, nil, nil, nil
}
