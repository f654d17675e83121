package peerstore

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
)

// A record is the entry of one peer: the distance of the info-hash (20 bytes), the IP address
// (4 or 16), the port (2), and 2 bytes with the time of the announce (15 bits) and the seed
// flag (1 bit). The distance and the address are the key of the record.
const (
	maxKey    = 20 + 16
	trailer   = 4 // bytes after the key
	stampMask = 1<<15 - 1

	blockRecords = 64 // capacity of a block in records
)

// recordKey holds the key of a record. An IPv4 key uses the first 24 bytes.
type recordKey [maxKey]byte

func (k *recordKey) distance() [20]byte { return [20]byte(k[:20]) }

// records is an ordered list of records in blocks. No block is empty.
type records struct {
	keyLen int // bytes of a key
	stride int // bytes of a record
	blocks [][]byte
	first  []uint64 // the first 8 bytes of each block, which the search reads first
	peers  int      // number of records
	hashes int      // number of different distances
}

// position is the place of a record: block b, record i.
type position struct{ b, i int }

// span describes adjacent records. from and last are not valid if n is 0.
type span struct {
	from, last position
	n          int
}

func newRecords(v6 bool) records {
	keyLen := 24
	if v6 {
		keyLen = maxKey
	}
	return records{keyLen: keyLen, stride: keyLen + trailer}
}

// at returns the record at p.
func (r *records) at(p position) []byte { return r.blocks[p.b][p.i*r.stride:][:r.stride] }

// size returns the number of records in block b.
func (r *records) size(b int) int { return len(r.blocks[b]) / r.stride }

// set sets the values of the record at p.
func (r *records) set(p position, port, stamp uint16, seed bool) {
	if seed {
		stamp |= stampMask + 1
	}
	rec := r.at(p)[r.keyLen:]
	binary.BigEndian.PutUint16(rec, port)
	binary.BigEndian.PutUint16(rec[2:], stamp)
}

func (r *records) stampOf(rec []byte) uint16 {
	return binary.BigEndian.Uint16(rec[r.keyLen+2:]) & stampMask
}

func (r *records) seed(rec []byte) bool { return rec[r.keyLen+2]&0x80 != 0 }

// find returns the position of the first record whose key is not less than k, and whether its
// key is k. The position may be the end of its block.
func (r *records) find(k []byte) (position, bool) {
	if len(r.blocks) == 0 {
		return position{}, false
	}
	prefix := binary.BigEndian.Uint64(k)
	b := sort.Search(len(r.blocks), func(b int) bool {
		if r.first[b] != prefix {
			return r.first[b] > prefix
		}
		return bytes.Compare(r.blocks[b][:r.keyLen], k) > 0
	})
	b = max(b-1, 0)
	block := r.blocks[b]
	low, high := 0, len(block)/r.stride
	for low < high {
		mid := int(uint(low+high) / 2)
		if bytes.Compare(block[mid*r.stride:][:r.keyLen], k) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	p := position{b, low}
	return p, low < len(block)/r.stride && bytes.Equal(r.at(p)[:r.keyLen], k)
}

// between returns the span of the records whose keys are from k to l, without l itself.
func (r *records) between(k, l []byte) span {
	from, _ := r.find(k)
	end, _ := r.find(l)
	if len(r.blocks) == 0 {
		return span{}
	}
	if from.i == r.size(from.b) && from.b < end.b {
		from = position{from.b + 1, 0}
	}
	n := end.i - from.i
	for b := from.b; b < end.b; b++ {
		n += r.size(b)
	}
	if n <= 0 {
		return span{}
	}
	last := position{end.b, end.i - 1}
	if end.i == 0 {
		last = position{end.b - 1, r.size(end.b-1) - 1}
	}
	return span{from, last, n}
}

// span returns the records with a distance. No record has the address that ends the search,
// because it is a multicast address.
func (r *records) span(distance [20]byte) span {
	var k, l recordKey
	copy(k[:], distance[:])
	copy(l[:], distance[:])
	fill(l[20:], 0xff)
	return r.between(k[:r.keyLen], l[:r.keyLen])
}

// lastSpan returns the records with the greatest distance. There must be a record.
func (r *records) lastSpan() span {
	b := len(r.blocks) - 1
	return r.span([20]byte(r.at(position{b, r.size(b) - 1})))
}

// each calls f with the records of a span.
func (r *records) each(found span, f func(rec []byte)) {
	p := found.from
	for range found.n {
		if p.i == r.size(p.b) {
			p = position{p.b + 1, 0}
		}
		f(r.at(p))
		p.i++
	}
}

// alone reports whether no record beside the one at p has its distance.
func (r *records) alone(p position) bool {
	return r.span([20]byte(r.at(p))).n == 1
}

// insert adds a record with a new key, and returns its position.
func (r *records) insert(k []byte) position {
	if len(r.blocks) == 0 {
		r.insertBlock(0)
	}
	p, _ := r.find(k)
	if r.size(p.b) == blockRecords {
		r.relieve(p.b)
		p, _ = r.find(k)
	}
	block := r.blocks[p.b]
	n := len(block)
	block = block[:n+r.stride]
	copy(block[(p.i+1)*r.stride:], block[p.i*r.stride:n])
	copy(block[p.i*r.stride:], k)
	r.blocks[p.b] = block
	r.begins(p.b)
	r.peers++
	if r.alone(p) {
		r.hashes++
	}
	return p
}

// begins updates first after a change of block b.
func (r *records) begins(b int) { r.first[b] = binary.BigEndian.Uint64(r.blocks[b]) }

func (r *records) insertBlock(b int) {
	r.blocks = slices.Insert(r.blocks, b, make([]byte, 0, blockRecords*r.stride))
	r.first = slices.Insert(r.first, b, 0)
}

// relieve moves records out of the full block b: to a neighbour, or to a new block if the
// neighbours are nearly full. Filling the neighbours first keeps blocks about 80 % full.
func (r *records) relieve(b int) {
	const least = blockRecords / 8 // free records of a neighbour for which moving pays
	move := func(to int) int { return (blockRecords - r.size(to) + 1) / 2 }
	switch {
	case b+1 < len(r.blocks) && blockRecords-r.size(b+1) >= least:
		r.moveRight(b, move(b+1))
	case b > 0 && blockRecords-r.size(b-1) >= least:
		cut := move(b-1) * r.stride
		block := r.blocks[b]
		r.blocks[b-1] = append(r.blocks[b-1], block[:cut]...)
		r.blocks[b] = block[:copy(block, block[cut:])]
		r.begins(b)
	default:
		r.insertBlock(b + 1)
		r.moveRight(b, blockRecords/2)
	}
}

// moveRight moves the last n records of block b to the start of the next block.
func (r *records) moveRight(b, n int) {
	block := r.blocks[b]
	cut := len(block) - n*r.stride
	r.blocks[b+1] = slices.Insert(r.blocks[b+1], 0, block[cut:]...)
	r.blocks[b] = block[:cut]
	r.begins(b + 1)
}

// remove removes the record at p.
func (r *records) remove(p position) {
	if r.alone(p) {
		r.hashes--
	}
	r.peers--
	block := r.blocks[p.b]
	block = block[:p.i*r.stride+copy(block[p.i*r.stride:], block[(p.i+1)*r.stride:])]
	r.blocks[p.b] = block
	if len(block) == 0 {
		r.blocks, r.first = slices.Delete(r.blocks, p.b, p.b+1), slices.Delete(r.first, p.b, p.b+1)
	} else {
		r.begins(p.b)
	}
}

// filter keeps the records for which keep returns true, and joins blocks that have few.
func (r *records) filter(keep func(rec []byte) bool) {
	all := r.blocks
	r.blocks, r.first, r.peers, r.hashes = all[:0], r.first[:0], 0, 0
	var previous []byte // the record before
	for _, block := range all {
		kept := block[:0]
		for ; len(block) > 0; block = block[r.stride:] {
			rec := block[:r.stride]
			if !keep(rec) {
				continue
			}
			kept = append(kept, rec...)
			rec = kept[len(kept)-r.stride:]
			if previous == nil || !bytes.Equal(previous[:20], rec[:20]) {
				r.hashes++
			}
			previous = rec
		}
		r.peers += len(kept) / r.stride
		if len(kept) == 0 {
			continue
		}
		last := len(r.blocks) - 1
		if last >= 0 && len(r.blocks[last])+len(kept) <= blockRecords*3/4*r.stride {
			r.blocks[last] = append(r.blocks[last], kept...)
			continue
		}
		r.blocks = append(r.blocks, kept)
		r.first = append(r.first, binary.BigEndian.Uint64(kept))
	}
	clear(all[len(r.blocks):]) // frees the memory of unused blocks
}

// reorder changes all distances by an XOR and restores the order.
func (r *records) reorder(change [20]byte) {
	all := slices.Concat(r.blocks...)
	order := make([][]byte, 0, r.peers)
	for ; len(all) > 0; all = all[r.stride:] {
		for i, x := range change {
			all[i] ^= x
		}
		order = append(order, all[:r.stride])
	}
	slices.SortFunc(order, func(a, b []byte) int { return bytes.Compare(a[:r.keyLen], b[:r.keyLen]) })
	r.blocks, r.first = nil, nil
	for part := range slices.Chunk(order, blockRecords*7/8) {
		b := len(r.blocks)
		r.insertBlock(b)
		for _, rec := range part {
			r.blocks[b] = append(r.blocks[b], rec...)
		}
		r.begins(b)
	}
}

func fill(b []byte, x byte) {
	for i := range b {
		b[i] = x
	}
}
