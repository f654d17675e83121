package metainfo

import (
	"hash/maphash"
	"strconv"

	"spate/bitfield"
)

// pathHasher makes hashes of paths that are equal for paths that some file system
// takes for the same. They are keyed, and so differ from one parser to the next:
// a name is taken for another one at random, which does no harm, once in 10^11
// torrents of 10,000 files.
type pathHasher struct {
	seed maphash.Seed
	fold folder
}

// below returns the hash of what has the key of a name in the directory dir; 0
// is the torrent's own.
func (h *pathHasher) below(dir uint64, key []byte) uint64 {
	return mix(dir, maphash.Bytes(h.seed, key))
}

// dir returns the hash of the directory that a file lies in.
func (h *pathHasher) dir(path []string) uint64 {
	dir := uint64(0)
	for _, part := range path[:len(path)-1] {
		key, _ := h.fold.key(part)
		dir = h.below(dir, key)
	}
	return dir
}

// mix returns the hash of what has the keyed hash h in the directory dir. It is
// never 0.
func mix(dir, h uint64) uint64 {
	h = (h ^ dir) * 0x9e3779b97f4a7c15 // any odd factor does, for h is random
	return (h ^ h>>29) | 1
}

// hashList is a list that grows without being copied.
type hashList struct {
	slabs [][]uint64
	n     int
}

func (l *hashList) add(list []uint64) {
	l.n += len(list)
	for len(list) > 0 {
		if k := len(l.slabs); k == 0 || len(l.slabs[k-1]) == cap(l.slabs[k-1]) {
			l.slabs = append(l.slabs, make([]uint64, 0, hashSlab))
		}
		last := &l.slabs[len(l.slabs)-1]
		n := min(len(list), cap(*last)-len(*last))
		*last = append(*last, list[:n]...)
		list = list[n:]
	}
}

const hashSlab = 2048 // hashes

// hashSet is a set of hashes that are not 0.
type hashSet []uint64 // 0 is free; a power of two, two thirds full at most

// Costs in bytes, to be spent from the budget before memory is used.
const (
	setCost  = 24            // of a hash in a hashSet, at most
	nameCost = setCost + 8   // of a path in a hashSet, and in a list before
	mapCost  = 48            // of an entry in a map of counters, about
	partCost = 16 + nameCost // of a part of a path
)

func newHashSet(n int) hashSet {
	size := 16
	for size*2/3 < n+1 {
		size *= 2
	}
	return make(hashSet, size)
}

// add reports whether h is new.
func (s hashSet) add(h uint64) bool {
	mask := uint64(len(s) - 1)
	for k := h >> 8; ; k++ {
		switch slot := &s[k&mask]; *slot {
		case 0:
			*slot = h
			return true
		case h:
			return false
		}
	}
}

// has reports whether h was added.
func (s hashSet) has(h uint64) bool {
	mask := uint64(len(s) - 1)
	for k := h >> 8; ; k++ {
		switch s[k&mask] {
		case 0:
			return false
		case h:
			return true
		}
	}
}

// finishNames makes the paths of all files unique, and the links safe. A file
// whose path another file or a directory has gets a number; the first one in the
// torrent's order keeps its name.
func (p *parser) finishNames() bool {
	i, a := &p.m.Info, &p.names
	if i.Single() || p.err != nil {
		return p.err == nil
	}
	set := newHashSet(len(a.hashes) + a.dirs.n)
	for _, slab := range a.dirs.slabs {
		for _, h := range slab {
			set.add(h)
		}
	}
	again := bitfield.New(len(a.hashes)) // files whose path is taken
	for k, h := range a.hashes {
		if h != 0 && !set.add(h) {
			again.Set(k)
		}
	}
	p.renameAll(set, again)
	p.links()
	if n := i.renamed; n > 0 {
		p.warn("info", -1, "names that are not safe or not unique here, and became others: "+strconv.Itoa(n))
	}
	return p.err == nil
}

// renameAll gives the files of again numbers, in order. For each name the
// numbers are tried upwards from where the last search ended, so that many equal
// names cost no more than as many different ones; names of the greatest length
// that differ only where they are cut count as one.
func (p *parser) renameAll(set hashSet, again bitfield.Bitfield) {
	next := map[uint64]int{}
	var dirs []string // of the file before, and its dir, name and number
	var before string
	dir, class, number := uint64(0), uint64(0), 0
	var name numberedName
	for k := range again.Ones() {
		f := &p.m.Info.Files[k]
		last := len(f.Path) - 1
		if now := f.Path[:last]; class == 0 || f.Path[last] != before || !samePath(now, dirs) {
			next[class] = number
			dir, dirs, before = p.hash.dir(f.Path), now, f.Path[last]
			name.set(&p.hash, before)
			class = name.hash(dir, 0)
			number = next[class]
			if number == 0 && !p.spend("info.files", mapCost) {
				return
			}
		}
		for number++; !set.add(name.hash(dir, number)); number++ {
		}
		f.Path[last] = p.intern(name.text(number))
		p.m.Info.renamed++
	}
}

// longestMark is the length of what tells a file from others of the same name.
const longestMark = len(".2000000000")

func samePath(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// numberedName is a name with different numbers, such as stem.NUMBER.ext.
type numberedName struct {
	h         *pathHasher
	stem, ext string
	key       []byte // folded stem, and what was put behind it last
	keyStem   int    // length of the stem in key
	keyExt    []byte
	buf       []byte
}

func (n *numberedName) set(h *pathHasher, name string) {
	n.h = h
	n.stem, n.ext = splitExt(name)
	n.stem = cut(n.stem, maxNameLen-len(n.ext)-longestMark)
	key, _ := h.fold.key(n.stem)
	n.key, n.keyStem = append(n.key[:0], key...), len(key)
	key, _ = h.fold.key(n.ext)
	n.keyExt = append(n.keyExt[:0], key...)
}

// text returns the name with a number, valid until the next call.
func (n *numberedName) text(number int) []byte {
	n.buf = append(append(n.buf[:0], n.stem...), '.')
	n.buf = strconv.AppendInt(n.buf, int64(number), 10)
	n.buf = append(n.buf, n.ext...)
	return n.buf
}

// hash returns the hash of the name with a number in the directory dir. It is
// that of the whole name: dots and digits do not compose with what is next to
// them.
func (n *numberedName) hash(dir uint64, number int) uint64 {
	n.key = append(n.key[:n.keyStem], '.')
	n.key = strconv.AppendInt(n.key, int64(number), 10)
	n.key = append(n.key, n.keyExt...)
	return n.h.below(dir, n.key)
}
