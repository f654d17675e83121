package swarm

import (
	"time"

	"spate"
)

// maxCommon bounds the peers of one list that [Table.Common] compares.
const maxCommon = 20_000

// Common returns the numbers of peers that are in the swarms of both info-hashes with the same
// address and port, by their role in the swarm of a. It counts pinned origins if both swarms have the
// same ones. From lists of more than about 20,000 peers it compares a part and extrapolates.
func (t *Table) Common(now time.Time, a, b spate.InfoHash) (seeders, leechers uint32) {
	now16 := stampOf(t.seconds(now))
	if set := t.pinned(a); set == t.pinned(b) {
		seeders = uint32(set.seeds())
	}
	for list := range numLists {
		addrs, n := t.addrs(list, a, now16)
		if len(addrs) == 0 {
			continue
		}
		both := uint32(t.countListed(list, b, addrs, now16) * n / (len(addrs) / strideOf(list)))
		if list&listSeed != 0 {
			seeders += both
		} else {
			leechers += both
		}
	}
	return seeders, leechers
}

// pinned returns the set of origins of a swarm.
func (t *Table) pinned(ih spate.InfoHash) *pinSet {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	ri, ok := s.lookup(&ih, h)
	if !ok {
		return (*t.pins.all.Load())[0]
	}
	return t.pinSet(s.record(ri))
}

// addrs returns the addresses of a list, at most about maxCommon, and the length of the list.
func (t *Table) addrs(list int, ih spate.InfoHash, now uint16) (addrs []byte, n int) {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	ri, ok := s.lookup(&ih, h)
	if !ok {
		return nil, 0
	}
	s.refresh(ri, now)
	rec := s.record(ri)
	stride := strideOf(list)
	for i := range s.buckets(rec, list) {
		if len(addrs) >= maxCommon*stride {
			break
		}
		b := s.block(rec, list, i)
		addrs = append(addrs, b.mem[:b.n*stride]...)
	}
	return addrs, rec.n(list)
}

// countListed returns how many of the addresses are in the swarm of ih, as a seed or a leecher.
// list is their list in another swarm.
func (t *Table) countListed(list int, ih spate.InfoHash, addrs []byte, now uint16) (n int) {
	s, h := t.shard(&ih)
	s.mu.Lock()
	defer s.mu.Unlock()
	ri, ok := s.lookup(&ih, h)
	if !ok {
		return 0
	}
	s.refresh(ri, now)
	rec := s.record(ri)
	stride := strideOf(list)
	for ; len(addrs) > 0; addrs = addrs[stride:] {
		addr := addrs[:stride]
		for _, l := range [2]int{list, list ^ listSeed} {
			if rec.n(l) == 0 {
				continue
			}
			b := s.block(rec, l, s.bucketOf(rec, l, addr))
			if at, _, _ := b.find(addr, now); at >= 0 {
				n++
				break
			}
		}
	}
	return n
}

// Origins returns the number of seeds that the pinned origins of a swarm count as.
func (t *Table) Origins(ih spate.InfoHash) int { return t.pinned(ih).seeds() }
