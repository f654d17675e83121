package metainfo

import (
	"bytes"
	"strings"
	"unsafe"
)

// nameArena holds the names of all files in few large allocations.
type nameArena struct {
	text  strings.Builder // of the parts; strings handed out stay when a new one is begun
	parts []string        // of the paths: the end of it is free
	dirs  int             // at least the number of distinct directories

	lastRaw  [][]byte // the path before, and what became of its parts
	lastSafe []string
}

const (
	textSlab = 64 << 10 // bytes
	partSlab = 1024     // strings
)

// spend takes n bytes from the budget for files and names.
func (p *parser) spend(field string, n int) bool {
	if n > p.memory {
		return p.limit(field, -1, "too many files and names for %d bytes", p.o.Limits.Names)
	}
	p.memory -= n
	return true
}

// makeFiles allocates room for n files.
func (p *parser) makeFiles(field string, n int) bool {
	const each = int(unsafe.Sizeof(File{})) + collisionCost
	if n > p.memory/each {
		return p.spend(field, p.memory+1)
	}
	p.spend(field, n*each)
	p.m.Info.Files = make([]File, 0, n)
	return true
}

// intern returns raw as a string.
func (p *parser) intern(raw []byte) string {
	a := &p.names
	if a.text.Cap()-a.text.Len() < len(raw) {
		n := max(textSlab, len(raw))
		if !p.spend("info.files", n) {
			return ""
		}
		a.text = strings.Builder{}
		a.text.Grow(n)
	}
	at := a.text.Len()
	a.text.Write(raw)
	return a.text.String()[at:]
}

// newPath allocates a path of n parts.
func (p *parser) newPath(n int) []string {
	a := &p.names
	if cap(a.parts)-len(a.parts) < n {
		size := max(partSlab, n)
		if !p.spend("info.files", size*int(unsafe.Sizeof(""))) {
			return nil
		}
		a.parts = make([]string, 0, size)
	}
	at := len(a.parts)
	a.parts = a.parts[:at+n]
	return a.parts[at : at : at+n]
}

// path returns raw with every part safe, and whether that changed anything.
// Leading parts that are those of the path before share its strings.
func (p *parser) path(raw [][]byte) (safe []string, changed bool) {
	a := &p.names
	same := 0
	for same < len(raw) && same < len(a.lastRaw) && bytes.Equal(raw[same], a.lastRaw[same]) {
		same++
	}
	if fresh := len(raw) - same - 1; fresh > 0 {
		a.dirs += fresh
		p.spend("info.files", fresh*collisionCost)
	}
	a.lastSafe = a.lastSafe[:same]
	for _, part := range raw[same:] {
		s := p.intern(part)
		a.lastSafe = append(a.lastSafe, cleanName(s, p.o.Names))
	}
	a.lastRaw = append(a.lastRaw[:same], raw[same:]...)

	safe = p.newPath(max(len(raw), 1))
	for i, s := range a.lastSafe {
		changed = changed || s != string(raw[i])
		if s != "" && p.err == nil {
			safe = append(safe, s)
		}
	}
	if len(safe) == 0 {
		return []string{string(replacement)}, true
	}
	return safe, changed
}
