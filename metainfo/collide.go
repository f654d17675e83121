package metainfo

import (
	"hash/maphash"
	"strconv"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// collisionCost is what one file or directory costs in a nameSet, in bytes.
const collisionCost = 24

// nameSet is the set of the paths of a torrent, of files and of directories, as
// a file system sees them that knows neither case nor Unicode's ways of
// composing characters. A path stands as a keyed hash of 63 bits, so that a name
// is taken for another one at random, which does no harm, once in 10^11 torrents
// of 10,000 files.
type nameSet struct {
	seed  maphash.Seed
	slots []uint64 // hash<<1|1; 0 is free; a power of two, two thirds full at most
	fold  folder
	exact bool // as a file system that takes every name as it is
}

func newNameSet(n int) *nameSet {
	size := 16
	for size*2/3 < n+1 {
		size *= 2
	}
	return &nameSet{seed: maphash.MakeSeed(), slots: make([]uint64, size)}
}

// below returns the hash of the path that part makes of the directory dir; 0 is
// the torrent's own.
func (s *nameSet) below(dir uint64, part string) uint64 {
	var h uint64
	if s.exact {
		h = maphash.String(s.seed, part)
	} else {
		h = maphash.Bytes(s.seed, s.fold.key(part))
	}
	h = (h ^ dir) * 0x9e3779b97f4a7c15 // of a keyed hash: any odd factor does
	return (h ^ h>>29) | 1
}

// dir returns the hash of the directory that a file lies in.
func (s *nameSet) dir(path []string) uint64 {
	h := uint64(0)
	for _, part := range path[:len(path)-1] {
		h = s.below(h, part)
	}
	return h
}

// add reports whether h is new.
func (s *nameSet) add(h uint64) bool {
	mask := uint64(len(s.slots) - 1)
	for k := h >> 8; ; k++ {
		switch slot := &s.slots[k&mask]; *slot {
		case 0:
			*slot = h
			return true
		case h:
			return false
		}
	}
}

// has reports whether h was added.
func (s *nameSet) has(h uint64) bool {
	mask := uint64(len(s.slots) - 1)
	for k := h >> 8; ; k++ {
		switch slot := s.slots[k&mask]; slot {
		case 0:
			return false
		case h:
			return true
		}
	}
}

// folder makes keys that are equal for names that some file system takes for the
// same.
type folder struct {
	buf  []byte
	fold cases.Caser
	init bool
}

// key returns the case-folded and composed form of s, valid until the next call.
func (f *folder) key(s string) []byte {
	b := f.buf[:0]
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return f.unicode(s)
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	f.buf = b
	return b
}

func (f *folder) unicode(s string) []byte {
	if !f.init {
		f.fold, f.init = cases.Fold(), true
	}
	f.buf = norm.NFC.AppendString(f.buf[:0], f.fold.String(norm.NFD.String(s)))
	return f.buf
}

// finishNames makes the paths of all files unique, and the links safe. A file
// whose path another file or a directory has gets a number; the first one in the
// torrent's order keeps its name.
func (p *parser) finishNames() bool {
	i := &p.m.Info
	if i.Single() {
		return p.err == nil
	}
	set := newNameSet(len(i.Files) + p.names.dirs)
	p.addDirs(set)
	var again []int32 // files whose path is taken
	p.eachDir(set, func(k int, f *File, dir uint64) {
		if !set.add(set.below(dir, f.Path[len(f.Path)-1])) {
			again = append(again, int32(k))
		}
	})
	p.renameAll(set, again)
	p.links()
	if n := i.renamed; n > 0 {
		p.warn("info", -1, strconv.Itoa(n)+" files have names that are not safe or not unique here, and got others")
	}
	return p.err == nil
}

// addDirs adds every directory to set.
func (p *parser) addDirs(set *nameSet) {
	var last []string
	var hashes []uint64 // of the directories of last
	for k := range p.m.Info.Files {
		f := &p.m.Info.Files[k]
		if f.Pad() {
			continue
		}
		dirs := f.Path[:len(f.Path)-1]
		same := 0
		for same < len(dirs) && same < len(last) && dirs[same] == last[same] {
			same++
		}
		hashes = hashes[:same]
		for _, part := range dirs[same:] {
			h := uint64(0)
			if n := len(hashes); n > 0 {
				h = hashes[n-1]
			}
			h = set.below(h, part)
			set.add(h)
			hashes = append(hashes, h)
		}
		last = dirs
	}
}

// eachDir calls do for every file that is not padding, with the hash of its
// directory.
func (p *parser) eachDir(set *nameSet, do func(k int, f *File, dir uint64)) {
	var last []string
	dir := uint64(0)
	for k := range p.m.Info.Files {
		f := &p.m.Info.Files[k]
		if f.Pad() {
			continue
		}
		dirs := f.Path[:len(f.Path)-1]
		if !samePath(dirs, last) {
			dir = set.dir(f.Path)
			last = dirs
		}
		do(k, f, dir)
	}
}

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

// renameAll gives the files of again numbers, in order. For each name the
// numbers are tried upwards from where the last search ended, so that many equal
// names cost no more than as many different ones.
func (p *parser) renameAll(set *nameSet, again []int32) {
	next := map[uint64]int{}
	for _, k := range again {
		f := &p.m.Info.Files[k]
		dir := set.dir(f.Path)
		name := f.Path[len(f.Path)-1]
		h := set.below(dir, name)
		if len(next) < len(again) && !p.spend("info.files", len(name)+64) {
			return
		}
		for {
			next[h]++
			if s := numbered(name, next[h]); set.add(set.below(dir, s)) {
				f.Path[len(f.Path)-1] = s
				break
			}
		}
		p.m.Info.renamed++
	}
}

// numbered puts n into name, before a short extension.
func numbered(name string, n int) string {
	stem, ext := splitExt(name)
	mark := "." + strconv.Itoa(n)
	return cut(stem, maxNameLen-len(mark)-len(ext)) + mark + ext
}
