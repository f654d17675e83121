package swarm

import (
	"sync"
	"sync/atomic"
)

// segSize is the unit in which shards get memory, in bytes: small, for each
// shard has one that is half full on average; two pages of the machine, so that
// one that is free can go back to it.
const segSize = 8 << 10

// slabSize is the unit in which the table gets memory from the system.
const slabSize = 4 << 20

// pool hands out segments. The memory is not the garbage collector's: it neither
// scans it, nor lets it set the pace of collections.
type pool struct {
	mu    sync.Mutex
	slabs [][]byte     // all that was mapped
	fresh []byte       // the part of the last slab that was never handed out
	warm  [][]byte     // given back, and still in memory
	cold  [][]byte     // given back, and returned to the system
	out   atomic.Int64 // segments handed out; written under mu
}

// get returns a segment of undefined content.
func (p *pool) get() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Add(1)
	for _, list := range []*[][]byte{&p.warm, &p.cold} {
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

// put takes a segment back. An eighth of those in use stay warm.
func (p *pool) put(seg []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Add(-1)
	if len(p.warm) < int(p.out.Load()/8)+16 || !discard(seg) {
		p.warm = append(p.warm, seg)
	} else {
		p.cold = append(p.cold, seg)
	}
}

// bytes is the memory in use or warm.
func (p *pool) bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return (p.out.Load() + int64(len(p.warm))) * segSize
}

// close unmaps everything.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slabs {
		unmapMemory(s)
	}
	p.slabs, p.fresh, p.warm, p.cold = nil, nil, nil, nil
}
