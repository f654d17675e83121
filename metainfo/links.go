package metainfo

import (
	"fmt"
	"hash/maphash"
	"slices"
)

// addLink reads the target of the link f.
func (p *parser) addLink(e *entry, f *File, field func(string) string) {
	switch {
	case f.Length != 0:
		f.Attr &^= AttrSymlink
		p.warnFile(e.at, "a symbolic link with data: taken for a file")
		return
	case !e.hasLink || len(e.link) == 0 || len(e.link)-1 > p.o.Limits.Depth:
		p.warnFile(e.at, "a symbolic link without a target: left out")
		return
	}
	p.linkCount++
	if p.linkCount > p.o.Limits.List {
		p.limit(field("symlink path"), e.at, "more than %d symbolic links", p.o.Limits.List)
		return
	}
	target := make([]string, 0, len(e.link))
	size := 0
	for _, part := range e.link {
		switch s := string(part); {
		case s == ".":
		case s == ".." || cleanName(s, p.o.Names) == s && s != "":
			target = append(target, s)
			size += len(s) + 16
		default:
			p.warnFile(e.at, "a symbolic link with an unsafe target: left out")
			return
		}
	}
	if p.spend("info.files", size) {
		f.Symlink = &Symlink{Target: target}
	}
}

// linkTree finds out where links lead. Paths stand as keyed hashes of exactly
// their names.
type linkTree struct {
	p     *parser
	seed  maphash.Seed
	dirs  hashSet
	files hashSet
	links map[uint64]*link
}

// link is a symbolic link while its target is looked for.
type link struct {
	file   *File
	busy   bool // being resolved: to come here again is a circle
	done   bool
	ok     bool
	dir    bool   // leads to a directory
	target uint64 // path of the file or directory that it leads to in the end
}

// mostHops bounds the links that a target leads over, as systems do.
const mostHops = 40

// links keeps those links of BEP 47 that lead to a file or directory of this
// torrent, and not in a circle: neither from link to link nor, followed by
// something that walks the tree, from a directory into itself.
func (p *parser) links() {
	if p.linkCount == 0 || p.err != nil {
		return
	}
	t := p.newLinkTree()
	if p.err != nil {
		return
	}
	for k := range p.m.Info.Files {
		if f := &p.m.Info.Files[k]; f.Symlink != nil {
			if l := t.links[t.hash(f.Path)]; !t.resolve(l, 0) {
				p.dropLink(k, "leads nowhere in this torrent")
			}
		}
	}
	for _, k := range t.circles() {
		p.dropLink(k, "leads from a directory into itself")
	}
}

func (p *parser) dropLink(k int, reason string) {
	f := &p.m.Info.Files[k]
	f.Symlink = nil
	p.warn(fmt.Sprintf("info.files[%d].symlink path", k), -1, "left out: "+reason)
}

func (p *parser) newLinkTree() *linkTree {
	i, a := &p.m.Info, &p.names
	if !p.spend("info.files", (len(i.Files)+a.dirs.n)*setCost+p.linkCount*mapCost) {
		return nil
	}
	t := &linkTree{
		p: p, seed: maphash.MakeSeed(), links: make(map[uint64]*link, p.linkCount),
		dirs: newHashSet(a.dirs.n), files: newHashSet(len(i.Files)),
	}
	var last []string
	var hashes []uint64 // of the directories of last
	for k := range i.Files {
		f := &i.Files[k]
		if f.Pad() {
			continue
		}
		dirs := f.Path[:len(f.Path)-1]
		same := 0
		for same < len(dirs) && same < len(last) && dirs[same] == last[same] {
			same++
		}
		dir := uint64(0)
		hashes = hashes[:same]
		if same > 0 {
			dir = hashes[same-1]
		}
		for _, part := range dirs[same:] {
			dir = t.below(dir, part)
			t.dirs.add(dir)
			hashes = append(hashes, dir)
		}
		last = dirs
		h := t.below(dir, f.Path[len(f.Path)-1])
		switch {
		case f.Symlink != nil:
			t.links[h] = &link{file: f}
		case !f.IsSymlink():
			t.files.add(h)
		}
	}
	return t
}

// below returns the hash of part in the directory dir; 0 is the torrent's own.
func (t *linkTree) below(dir uint64, part string) uint64 {
	return mix(dir, maphash.String(t.seed, part))
}

// hash returns the hash of a whole path.
func (t *linkTree) hash(path []string) uint64 {
	h := uint64(0)
	for _, part := range path {
		h = t.below(h, part)
	}
	return h
}

// resolve finds where l leads in the end, over other links too, and reports
// whether that is in the torrent. It looks at each link once.
//
// A target is a path from the root of the torrent (BEP 47). Where none is there,
// it is taken from the directory of the link instead, as some programs write it.
func (t *linkTree) resolve(l *link, hops int) bool {
	if l.done || l.busy || hops > mostHops {
		return l.done && l.ok
	}
	l.busy = true
	target := l.file.Symlink.Target
	l.ok = !slices.Contains(target, "..") && t.follow(l, target, hops)
	if !l.ok {
		target, l.ok = inside(l.file.Path[:len(l.file.Path)-1], target)
		if l.ok {
			l.ok = t.follow(l, target, hops)
		}
	}
	l.file.Symlink.Target = target
	l.busy, l.done = false, true
	return l.ok
}

// follow finds what path leads to.
func (t *linkTree) follow(l *link, path []string, hops int) bool {
	at, dir := uint64(0), true
	for _, part := range path {
		if !dir {
			return false // below a file
		}
		at = t.below(at, part)
		if next := t.links[at]; next != nil {
			if !t.resolve(next, hops+1) {
				return false
			}
			at, dir = next.target, next.dir
			continue
		}
		dir = t.dirs.has(at)
		if !dir && !t.files.has(at) {
			return false
		}
	}
	l.target, l.dir = at, dir
	return len(path) > 0
}

// inside returns the path that target is when one stands in dir, without "..";
// false if it leaves the torrent.
func inside(dir, target []string) ([]string, bool) {
	path := slices.Clone(dir)
	for _, part := range target {
		switch {
		case part != "..":
			path = append(path, part)
		case len(path) == 0:
			return nil, false
		default:
			path = path[:len(path)-1]
		}
	}
	return path, true
}

// node is a directory with links to directories at or below it.
type node struct {
	out  int     // directories and links that lead on from it and are not yet known to end
	from []int32 // nodes that lead here
}

// circles returns the links that lead to a directory from which one can walk
// without end. It takes away, one after the other, the directories from which
// every way ends.
func (t *linkTree) circles() []int {
	nodes := []node{{}}
	index := map[uint64]int32{0: 0}
	dirLinks := func(do func(k int, f *File, l *link)) {
		for k := range t.p.m.Info.Files {
			if f := &t.p.m.Info.Files[k]; f.Symlink != nil {
				if l := t.links[t.hash(f.Path)]; l.ok && l.dir {
					do(k, f, l)
				}
			}
		}
	}
	parents := map[int]int32{} // of links: the node of the directory
	edge := func(from, to int32) {
		nodes[from].out++
		nodes[to].from = append(nodes[to].from, from)
	}
	dirLinks(func(k int, f *File, _ *link) {
		at, h := int32(0), uint64(0)
		for _, part := range f.Path[:len(f.Path)-1] {
			h = t.below(h, part)
			next, ok := index[h]
			if !ok && t.p.spend("info.files", nodeCost) {
				next = int32(len(nodes))
				nodes = append(nodes, node{})
				index[h] = next
				edge(at, next)
			}
			at = next
		}
		parents[k] = at
	})
	if t.p.err != nil {
		return nil
	}
	dirLinks(func(k int, _ *File, l *link) {
		if to, ok := index[l.target]; ok {
			edge(parents[k], to)
		}
	})
	ended := prune(nodes)
	var bad []int
	dirLinks(func(k int, _ *File, l *link) {
		if to, ok := index[l.target]; ok && !ended[to] {
			bad = append(bad, k)
		}
	})
	return bad
}

const nodeCost = 250 // bytes of a node and its place in the index as they grow, about

// prune reports for each node whether every way from it ends.
func prune(nodes []node) []bool {
	ended := make([]bool, len(nodes))
	var queue []int32
	for k := range nodes {
		if nodes[k].out == 0 {
			queue = append(queue, int32(k))
		}
	}
	for len(queue) > 0 {
		k := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		ended[k] = true
		for _, from := range nodes[k].from {
			nodes[from].out--
			if nodes[from].out == 0 {
				queue = append(queue, from)
			}
		}
	}
	return ended
}
