package metainfo

import (
	"hash/maphash"
	"strconv"

	"spate/bitfield"
	"spate/internal/units"
)

// pathHasher computes keyed hashes of paths. Two paths have the same hash if any common
// file system treats them as equal. The key is random for each parser. In a torrent of
// 10,000 files, two different names have the same hash with a probability of 1 in 10^11;
// one of them is then renamed without need.
type pathHasher struct {
	seed maphash.Seed
	fold folder
}

// child returns the hash of the entry with the given key in directory dir. The hash of
// the top directory is 0.
func (h *pathHasher) child(dir uint64, key []byte) uint64 {
	return mix(dir, maphash.Bytes(h.seed, key))
}

// dir returns the hash of the directory that contains a file.
func (h *pathHasher) dir(path []string) uint64 {
	dir := uint64(0)
	for _, part := range path[:len(path)-1] {
		key, _ := h.fold.key(part)
		dir = h.child(dir, key)
	}
	return dir
}

// mix combines the hash of a directory with the keyed hash h of a name in it. It never
// returns 0.
func mix(dir, h uint64) uint64 {
	h = (h ^ dir) * 0x9e3779b97f4a7c15 // any odd factor works, because h is random
	return (h ^ h>>29) | 1
}

// hashList is a list that grows without copying its elements.
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

const hashSlab = 2048 // number of hashes

// hashSet is a set of nonzero hashes.
type hashSet []uint64 // open addressing; 0 is a free slot; the length is a power of two, at most 2/3 in use

// The costs in bytes of data structures. The parser takes them from the memory budget
// before it allocates memory.
const (
	setCost  = 24            // of a hash in a hashSet, at most
	nameCost = setCost + 8   // of the hash of a path in a hashSet and in a list
	mapCost  = 48            // of an entry in a map of counters, approximately
	partCost = 16 + nameCost // of an element of a path
)

func newHashSet(n int) hashSet {
	size := 16
	for size*2/3 < n+1 {
		size *= 2
	}
	return make(hashSet, size)
}

// add adds h and reports whether it was new.
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

// has reports whether h is in the set.
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

// finishNames makes all paths unique and all symbolic links safe. Of several entries
// with the same path, the first one in the order of the torrent keeps its name, and the
// others get a number.
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
	again := bitfield.New(len(a.hashes)) // files whose path is already in use
	for k, h := range a.hashes {
		if h != 0 && !set.add(h) {
			again.Set(k)
		}
	}
	p.renameAll(set, again)
	p.links()
	if n := i.renamed; n > 0 && !i.decoded {
		p.warn("info", -1, units.Plural(n, "file name")+units.Agree(n, " is", " are")+" unsafe or not unique and "+units.Agree(n, "was", "were")+" replaced")
	}
	if i.decoded {
		p.warn("encoding", -1, "names were decoded from "+strconv.Quote(p.m.Encoding))
	}
	return p.err == nil
}

// renameAll adds numbers to the names of the files in again, in order. It starts the search
// for a free number where the last search for the same name ended, so that many equal names
// cost no more than different ones. Two names count as the same if they are equal after
// they are cut to the maximum length.
func (p *parser) renameAll(set hashSet, again bitfield.Bitfield) {
	next := map[uint64]int{}
	var dirs []string // directories of the previous file
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

// maxNumberLen is the length of the longest number that is added to a name.
const maxNumberLen = len(".2000000000")

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

// numberedName is a name with a varying number, such as stem.NUMBER.ext.
type numberedName struct {
	h         *pathHasher
	stem, ext string
	key       []byte // folded stem, followed by the last number and extension
	keyStem   int    // length of the folded stem in key
	keyExt    []byte
	buf       []byte
}

func (n *numberedName) set(h *pathHasher, name string) {
	n.h = h
	n.stem, n.ext = splitExt(name)
	n.stem = cut(n.stem, maxNameLen-len(n.ext)-maxNumberLen)
	key, _ := h.fold.key(n.stem)
	n.key, n.keyStem = append(n.key[:0], key...), len(key)
	key, _ = h.fold.key(n.ext)
	n.keyExt = append(n.keyExt[:0], key...)
}

// text returns the name with a number. The result is valid until the next call.
func (n *numberedName) text(number int) []byte {
	n.buf = append(append(n.buf[:0], n.stem...), '.')
	n.buf = strconv.AppendInt(n.buf, int64(number), 10)
	n.buf = append(n.buf, n.ext...)
	return n.buf
}

// hash returns the hash of the name with a number in directory dir. It folds the parts
// separately, which gives the same key because dots and digits do not combine with other
// characters.
func (n *numberedName) hash(dir uint64, number int) uint64 {
	n.key = append(n.key[:n.keyStem], '.')
	n.key = strconv.AppendInt(n.key, int64(number), 10)
	n.key = append(n.key, n.keyExt...)
	return n.h.child(dir, n.key)
}
