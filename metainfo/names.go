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

	lastRaw  [][]byte // the path before, and what became of its parts
	lastSafe []string
	lastHash []uint64 // of the path down to each part
	lastDirs int      // how many of the parts are directories

	hashes []uint64 // of the path of each file; 0 for padding
	dirs   hashList // of directories; one can be there more than once
}

const (
	maxRaw   = 4 * maxNameLen // bytes of a part that are looked at: the rest is cut in any case
	textSlab = 64 << 10       // bytes
	partSlab = 1024           // strings
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
	const each = int(unsafe.Sizeof(File{})) + nameCost
	if n > p.memory/each {
		return p.spend(field, p.memory+1)
	}
	p.spend(field, n*each)
	p.m.Info.Files = make([]File, 0, n)
	p.names.hashes = make([]uint64, 0, n)
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

// path returns raw with every part safe, and whether that changed anything. It
// notes the hashes of the path and of its directories. Leading parts that are
// those of the path before share its strings.
func (p *parser) path(raw [][]byte) (safe []string, changed bool) {
	a := &p.names
	same := 0
	for same < len(raw) && same < len(a.lastRaw) && bytes.Equal(raw[same], a.lastRaw[same]) {
		same++
	}
	noted := min(same, a.lastDirs) // directories that are in dirs already
	a.lastRaw = append(a.lastRaw[:same], raw[same:]...)
	a.lastSafe, a.lastHash = a.lastSafe[:same], a.lastHash[:same]
	hash := uint64(0)
	if same > 0 {
		hash = a.lastHash[same-1]
	}
	for _, part := range raw[same:] {
		var s string
		s, hash = p.part(part, hash)
		a.lastSafe, a.lastHash = append(a.lastSafe, s), append(a.lastHash, hash)
	}
	a.lastDirs = max(len(raw)-1, 0)
	for a.lastDirs > 0 && a.lastSafe[a.lastDirs] == "" {
		a.lastDirs-- // what ends in no name ends in the name before
	}
	if noted < a.lastDirs && p.spend("info.files", (a.lastDirs-noted)*nameCost) {
		a.dirs.add(a.lastHash[noted:a.lastDirs])
	}
	safe, changed = p.assemble(raw, a.lastSafe)
	if hash == 0 {
		hash = p.hash.below(0, []byte(safe[0]))
	}
	a.hashes = append(a.hashes, hash)
	return safe, changed
}

// part returns one part of a path as a safe name, "" if it is none, and the hash
// of that in the directory dir.
func (p *parser) part(raw []byte, dir uint64) (safe string, hash uint64) {
	safe = p.intern(raw[:min(len(raw), maxRaw)])
	if len(safe) > maxNameLen {
		safe = shorten(safe)
	}
	key, plain := p.hash.fold.key(safe)
	if !plain || !asItIs(safe, p.o.Names) {
		if s := cleanName(safe, p.o.Names); s != safe {
			safe = s
			key, _ = p.hash.fold.key(s)
		}
	}
	if safe == "" {
		return "", dir
	}
	return safe, p.hash.below(dir, key)
}

// assemble returns a path of those parts that are names, and whether it differs
// from raw.
func (p *parser) assemble(raw [][]byte, parts []string) (path []string, changed bool) {
	path = p.newPath(max(len(raw), 1))
	for i, s := range parts {
		changed = changed || s == "" || len(s) != len(raw[i]) || s != string(raw[i])
		if s != "" && p.err == nil {
			path = append(path, s)
		}
	}
	if len(path) == 0 {
		return []string{string(replacement)}, true
	}
	return path, changed
}

// padPath returns the path of a pad file, which no file is ever made of.
func (p *parser) padPath(raw [][]byte) []string {
	const pad = ".pad" // nearly always
	p.names.hashes = append(p.names.hashes, 0)
	var buf [4]string
	parts := buf[:0]
	for _, part := range raw {
		s := pad
		if string(part) != pad {
			s, _ = p.part(part, 0)
		}
		parts = append(parts, s)
	}
	path, _ := p.assemble(raw, parts)
	return path
}
