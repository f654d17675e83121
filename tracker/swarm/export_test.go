package swarm

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Check returns an error if the table is inconsistent.
func (t *Table) Check() error {
	var peers, swarms int64
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		err := s.check()
		for _, n := range s.n {
			peers += int64(n)
		}
		swarms += int64(s.nrec)
		s.mu.Unlock()
		if err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
	}
	if peers != t.peers.Load() || swarms != t.swarms.Load() {
		return fmt.Errorf("%d peers, %d swarms; counted %d, %d", peers, swarms, t.peers.Load(), t.swarms.Load())
	}
	return nil
}

func (s *shard) check() error {
	var n [numLists]int
	var marked, sockets [2]int
	active, live, blocks := 0, 0, 0
	for ri := uint32(0); ri < s.nrec; ri++ {
		rec := s.record(ri)
		if at, ok := s.lookup(rec.hash(), s.hashOf(ri)); !ok || at != ri {
			return fmt.Errorf("record %d is found as %d, %v", ri, at, ok)
		}
		inline := false
		var second [2]int
		for list := range numLists {
			sum := 0
			for b := range s.buckets(rec, list) {
				bl := s.block(rec, list, b)
				sum += bl.n
				for i := range bl.n {
					if bl.meta(i)&metaSecond != 0 {
						second[list&listSeed]++
					}
				}
				ref := rec.ref(list)
				if rec.isDir(list) {
					d := &s.dirs[rec.dirNo(list)]
					ref = d.refs[b]
					if int(d.ns[b]) != bl.n || d.rec != ri || int(d.list) != list {
						return fmt.Errorf("record %d list %d bucket %d: the directory says %d of %d", ri, list, b, d.ns[b], bl.n)
					}
					for i := range bl.n {
						if d.bucket(s.t.keys.hashAddr(bl.addr(i))) != b {
							return fmt.Errorf("record %d list %d: entry %d is not of bucket %d", ri, list, i, b)
						}
					}
				}
				inline = inline || ref == refInline
				if ref > refInline {
					blocks++
					live += blockSize(list, bl.cap)
					if o := binary.LittleEndian.Uint32(s.arena.header(ref)); o != s.owner(ri, rec, list) {
						return fmt.Errorf("record %d list %d: the block's owner is %x", ri, list, o)
					}
				}
				if (bl.n == 0) != (ref == refNone) || bl.n > bl.cap {
					return fmt.Errorf("record %d list %d: reference %x, %d entries, capacity %d", ri, list, ref, bl.n, bl.cap)
				}
			}
			if sum != rec.n(list) {
				return fmt.Errorf("record %d list %d: %d entries, %d counted", ri, list, sum, rec.n(list))
			}
			n[list] += sum
		}
		for role := range second {
			if second[role] != rec.second(role) {
				return fmt.Errorf("record %d: %d second entries, %d counted", ri, second[role], rec.second(role))
			}
			marked[role] += second[role]
			sockets[role] += rec.sockets(role)
		}
		if inline != rec.has(flagInline) {
			return fmt.Errorf("record %d: inline %v", ri, inline)
		}
		if !rec.idle() {
			active++
		}
	}
	if sockets != s.sockets {
		return fmt.Errorf("%v peers without an address, counted %v", sockets, s.sockets)
	}
	if marked != s.marked {
		return fmt.Errorf("%v second entries, counted %v", marked, s.marked)
	}
	if n != s.n || active != s.active {
		return fmt.Errorf("%v entries, %d active; counted %v, %d", n, active, s.n, s.active)
	}
	return s.arena.check(live)
}

func (a *arena) check(live int) error {
	sum, used := 0, 0
	for no := range a.segs {
		if a.segs[no].mem != nil {
			used++
			sum += int(a.segs[no].live)
		}
	}
	if sum != live || a.live != live || used != a.used {
		return fmt.Errorf("%d bytes live in %d segments; counted %d, %d in %d", live, used, sum, a.live, a.used)
	}
	return nil
}

// Tight returns an error if the blocks use much more memory than they need after a
// sweep.
func (t *Table) Tight() error {
	for i := range t.shards {
		a := &t.shards[i].arena
		if a.used*segSize > a.live+a.live/7+3*segSize {
			return fmt.Errorf("shard %d: %d segments for %d bytes", i, a.used, a.live)
		}
	}
	return nil
}

// Reseal corrects the checksums of the frames of a snapshot, so that a fuzzer can get
// past them.
func Reseal(b []byte) []byte {
	b = append([]byte(nil), b...)
	for p := b[min(len(snapMagic), len(b)):]; len(p) >= 8; {
		n := int(binary.LittleEndian.Uint32(p))
		if n > len(p)-8 {
			break
		}
		binary.LittleEndian.PutUint32(p[4:], crc32.Checksum(p[8:8+n], castagnoli))
		p = p[8+n:]
	}
	return b
}

// ResealJournal corrects the checksums of the complete entries of a journal.
func ResealJournal(b []byte) []byte {
	b = append([]byte(nil), b...)
	for e := b; len(e) >= journalEntry; e = e[journalEntry:] {
		binary.LittleEndian.PutUint32(e[entrySum:], crc32.Checksum(e[:entrySum], castagnoli))
	}
	return b
}
