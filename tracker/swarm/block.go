package swarm

import (
	"bytes"
	"encoding/binary"
)

// block is a view of the entries of one list, or of one bucket of a large list. It
// holds all addresses, then all stamps, then all metas, so that several addresses can
// be copied to a reply at once. It is invalid after the next alloc in its shard.
type block struct {
	mem    []byte
	n      int
	cap    int
	stride int
}

// blockCapacity returns the capacity of a new block for n entries.
func blockCapacity(n int) int { return min(n+n/8, maxBlock) }

func (b *block) addr(i int) []byte { return b.mem[i*b.stride : (i+1)*b.stride : (i+1)*b.stride] }

func (b *block) stampAt(i int) int { return b.cap*b.stride + 2*i }
func (b *block) metaAt(i int) int  { return b.cap*(b.stride+2) + 2*i }

func (b *block) stamp(i int) uint16 { return binary.LittleEndian.Uint16(b.mem[b.stampAt(i):]) }
func (b *block) meta(i int) uint16  { return binary.LittleEndian.Uint16(b.mem[b.metaAt(i):]) }
func (b *block) setStamp(i int, v uint16) {
	binary.LittleEndian.PutUint16(b.mem[b.stampAt(i):], v)
}
func (b *block) setMeta(i int, v uint16) { binary.LittleEndian.PutUint16(b.mem[b.metaAt(i):], v) }

// set writes entry i.
func (b *block) set(i int, addr []byte, stamp, meta uint16) {
	copy(b.addr(i), addr)
	b.setStamp(i, stamp)
	b.setMeta(i, meta)
}

// copyFrom copies n entries of from, starting at its entry j, to entry i and those that
// follow it.
func (b *block) copyFrom(i int, from *block, j, n int) {
	copy(b.mem[i*b.stride:], from.mem[j*b.stride:(j+n)*b.stride])
	copy(b.mem[b.stampAt(i):b.stampAt(i+n)], from.mem[from.stampAt(j):])
	copy(b.mem[b.metaAt(i):b.metaAt(i+n)], from.mem[from.metaAt(j):])
}

// move copies entry j of b over entry i.
func (b *block) move(i, j int) {
	if i != j {
		b.set(i, b.addr(j), b.stamp(j), b.meta(j))
	}
}

// find returns the index of the entry with address a, or -1. Of the entries before it
// with the same host it also returns the number and the oldest (-1 if there is none).
func (b *block) find(a []byte, now uint16) (at, same, oldest int) {
	at, oldest = -1, -1
	if b.stride == 6 {
		return b.find4(a, now)
	}
	host := binary.LittleEndian.Uint64(a)
	for i := 0; i < b.n; i++ {
		e := b.mem[i*18 : i*18+18]
		if binary.LittleEndian.Uint64(e) != host {
			continue
		}
		if bytes.Equal(e, a) {
			return i, same, oldest
		}
		same++
		if oldest < 0 || age(now, b.stamp(i)) > age(now, b.stamp(oldest)) {
			oldest = i
		}
	}
	return at, same, oldest
}

func (b *block) find4(a []byte, now uint16) (at, same, oldest int) {
	oldest = -1
	host, port := binary.LittleEndian.Uint32(a), binary.LittleEndian.Uint16(a[4:])
	mem := b.mem[:b.n*6]
	for i := 0; len(mem) >= 6; i, mem = i+1, mem[6:] {
		if binary.LittleEndian.Uint32(mem) != host {
			continue
		}
		if binary.LittleEndian.Uint16(mem[4:]) == port {
			return i, same, oldest
		}
		same++
		if oldest < 0 || age(now, b.stamp(i)) > age(now, b.stamp(oldest)) {
			oldest = i
		}
	}
	return -1, same, oldest
}

// oldest returns the entry whose last announce is the oldest, or -1 if the block is
// empty.
func (b *block) oldest(now uint16) int {
	at, most := -1, -1
	for i := 0; i < b.n; i++ {
		if a := age(now, b.stamp(i)); a > most {
			at, most = i, a
		}
	}
	return at
}

// spill holds the entries of blocks while they are distributed to other blocks.
type spill struct {
	mem [maxBlock * (18 + 4)]byte
	n   int
}

// view returns the entries as a block. sp does not store the block, because that would
// move sp to the heap.
func (sp *spill) view(list int) block {
	return block{mem: sp.mem[:], n: sp.n, cap: maxBlock, stride: strideOf(list)}
}

// add appends the entries of b. The caller must know that they fit.
func (sp *spill) add(b *block, list int) {
	v := sp.view(list)
	v.copyFrom(sp.n, b, 0, b.n)
	sp.n += b.n
}
