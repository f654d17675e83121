package metainfo

import (
	"fmt"
	"hash/maphash"
	"slices"
)

// addLink reads the target of the symbolic link f.
func (p *parser) addLink(e *entry, f *File, field func(string) string) {
	switch {
	case f.Length != 0:
		f.Attr &^= AttrSymlink
		p.warnFile(e.at, "symbolic link with data: treated as a file")
		return
	case !e.hasLink || len(e.link) == 0 || len(e.link)-1 > p.o.Limits.Depth:
		p.warnFile(e.at, "symbolic link without a target: ignored")
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
			p.warnFile(e.at, "symbolic link with an unsafe target: ignored")
			return
		}
	}
	if p.spend("info.files", size) {
		f.Symlink = &Symlink{Target: target}
	}
}

// linkTree resolves symbolic links. It represents paths by keyed hashes of their exact
// names.
type linkTree struct {
	p     *parser
	seed  maphash.Seed
	dirs  hashSet
	files hashSet
	links map[uint64]*link
}

// link is the state of a symbolic link during resolution.
type link struct {
	file      *File
	resolving bool // resolve is in progress; reaching the link again is a cycle
	done      bool
	ok        bool
	dir       bool   // the target is a directory
	target    uint64 // hash of the file or directory that the link finally leads to
}

// maxHops limits the symbolic links in the resolution of a target, as operating systems
// do.
const maxHops = 40

// links removes unsafe symbolic links (BEP 47). A link stays if it leads to a file or
// directory of this torrent, does not lead back to itself, and creates no cycle of
// directories for a program that follows links while it walks the tree.
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
				p.dropLink(k, "the target is not in the torrent")
			}
		}
	}
	for _, k := range t.cycles() {
		p.dropLink(k, "it creates a cycle of directories")
	}
}

func (p *parser) dropLink(k int, reason string) {
	f := &p.m.Info.Files[k]
	f.Symlink = nil
	p.warn(fmt.Sprintf("info.files[%d].symlink path", k), -1, "ignored: "+reason)
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
	var hashes []uint64 // hashes of the directories in last
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
			dir = t.child(dir, part)
			t.dirs.add(dir)
			hashes = append(hashes, dir)
		}
		last = dirs
		h := t.child(dir, f.Path[len(f.Path)-1])
		switch {
		case f.Symlink != nil:
			t.links[h] = &link{file: f}
		case !f.IsSymlink():
			t.files.add(h)
		}
	}
	return t
}

// child returns the hash of part in directory dir. The hash of the top directory is 0.
func (t *linkTree) child(dir uint64, part string) uint64 {
	return mix(dir, maphash.String(t.seed, part))
}

// hash returns the hash of a path.
func (t *linkTree) hash(path []string) uint64 {
	h := uint64(0)
	for _, part := range path {
		h = t.child(h, part)
	}
	return h
}

// resolve follows l and the links in its target, and reports whether l leads to an entry of
// the torrent. It resolves each link only once.
//
// A target is a path from the root of the torrent (BEP 47). If no entry has that path,
// resolve takes the target as a path from the directory of the link, because some programs
// write targets that way.
func (t *linkTree) resolve(l *link, hops int) bool {
	if l.done || l.resolving || hops > maxHops {
		return l.done && l.ok
	}
	l.resolving = true
	target := l.file.Symlink.Target
	l.ok = !slices.Contains(target, "..") && t.follow(l, target, hops)
	if !l.ok {
		target, l.ok = resolveRelative(l.file.Path[:len(l.file.Path)-1], target)
		if l.ok {
			l.ok = t.follow(l, target, hops)
		}
	}
	l.file.Symlink.Target = target
	l.resolving, l.done = false, true
	return l.ok
}

// follow resolves path and stores the result in l.
func (t *linkTree) follow(l *link, path []string, hops int) bool {
	at, dir := uint64(0), true
	for _, part := range path {
		if !dir {
			return false // the path continues after a file
		}
		at = t.child(at, part)
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

// resolveRelative returns the path of target relative to directory dir, without "..".
// It returns false if the path leaves the torrent.
func resolveRelative(dir, target []string) ([]string, bool) {
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

// dirNode is a directory in the graph of directories and links to directories.
type dirNode struct {
	out  int     // number of edges to nodes that are not yet known to end
	from []int32 // nodes with an edge to this one
}

// cycles returns the links that lead to a directory from which a walk may never end. It
// removes the directories from which every walk ends until only the others are left.
func (t *linkTree) cycles() []int {
	nodes := []dirNode{{}}
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
	parents := map[int]int32{} // by index of the link, the node of its directory
	edge := func(from, to int32) {
		nodes[from].out++
		nodes[to].from = append(nodes[to].from, from)
	}
	dirLinks(func(k int, f *File, _ *link) {
		at, h := int32(0), uint64(0)
		for _, part := range f.Path[:len(f.Path)-1] {
			h = t.child(h, part)
			next, ok := index[h]
			if !ok && t.p.spend("info.files", nodeCost) {
				next = int32(len(nodes))
				nodes = append(nodes, dirNode{})
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

const nodeCost = 250 // approximate bytes of a node and its entry in the index

// prune reports for each node whether every walk from it ends.
func prune(nodes []dirNode) []bool {
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
