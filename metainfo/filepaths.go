package metainfo

import (
	"bytes"
	"strings"
	"unsafe"

	"spate/internal/units"
)

// nameArena stores the names of all files in a few large allocations.
type nameArena struct {
	text  strings.Builder // text of the path elements; strings stay valid when a new builder is started
	parts []string        // elements of the paths; the capacity after the end is free

	lastRaw  [][]byte // the previous path and its safe form
	lastSafe []string
	lastHash []uint64 // hash of each prefix of the previous path
	lastDirs int      // number of elements of the previous path that are directories

	hashes []uint64 // hash of the path of each file; 0 for padding
	dirs   hashList // hashes of directories, with duplicates
}

const (
	maxRaw   = 4 * maxNameLen // number of examined bytes of a path element; the name is cut to fewer bytes anyway
	textSlab = 64 << 10       // in bytes
	partSlab = 1024           // number of strings
)

// spend takes n bytes from the memory budget. It returns false if the budget is
// exceeded.
func (p *parser) spend(field string, n int) bool {
	if n > p.memory {
		return p.limit(field, -1, "too many files and names for %s", units.Plural(p.o.Limits.Names, "byte"))
	}
	p.memory -= n
	return true
}

// makeFiles allocates memory for n files.
func (p *parser) makeFiles(field string, n int) bool {
	const each = int(unsafe.Sizeof(File{})) + nameCost
	if most := p.o.Limits.Files; n/2 > most { // each file may have a pad file
		return p.limit(field, -1, "%s, more than two for each of %s", units.Plural(n, "entry"), units.Plural(most, "file"))
	}
	if n > p.memory/each {
		return p.spend(field, p.memory+1)
	}
	p.spend(field, n*each)
	p.m.Info.Files = make([]File, 0, n)
	p.names.hashes = make([]uint64, 0, n)
	return true
}

// intern returns raw as a string in the arena.
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

// newPath allocates a path of n elements.
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

// path returns the safe form of raw, and whether it differs from raw. It records the hashes
// of the path and its directories. If the path starts with the same directories as the
// previous path, both share these strings.
func (p *parser) path(raw [][]byte) (safe []string, changed bool) {
	a := &p.names
	same := 0
	for same < len(raw) && same < len(a.lastRaw) && bytes.Equal(raw[same], a.lastRaw[same]) {
		same++
	}
	noted := min(same, a.lastDirs) // number of directories that are already in dirs
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
		a.lastDirs-- // an unusable last element is dropped, and the last directory becomes the name of the file
	}
	if noted < a.lastDirs && p.spend("info.files", (a.lastDirs-noted)*nameCost) {
		a.dirs.add(a.lastHash[noted:a.lastDirs])
	}
	safe, changed = p.assemble(raw, a.lastSafe)
	if hash == 0 {
		hash = p.hash.child(0, []byte(safe[0]))
	}
	a.hashes = append(a.hashes, hash)
	return safe, changed
}

// part returns the safe form of one path element, "" if it is unusable, and its hash in
// directory dir.
func (p *parser) part(raw []byte, dir uint64) (safe string, hash uint64) {
	raw, decoded := p.decoder.decode(raw[:min(len(raw), maxRaw)])
	p.m.Info.decoded = p.m.Info.decoded || decoded
	text := unsafe.String(unsafe.SliceData(raw), len(raw)) // not kept, because it would keep the whole torrent
	safe = shorten(text)
	key, plain := p.hash.fold.key(safe)
	if !plain || !unchanged(safe, p.o.Names) {
		if s := cleanName(safe, p.o.Names); s != safe {
			safe = s
			key, _ = p.hash.fold.key(s)
		}
	}
	if safe == "" {
		return "", dir
	}
	if strings.HasPrefix(text, safe) {
		safe = p.intern(raw[:len(safe)])
	} else if !p.spend("info.files", len(safe)) { // safe is a copy already
		return "", dir
	}
	return safe, p.hash.child(dir, key)
}

// assemble returns the path of the usable elements, and whether it differs from raw.
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

// padPath returns the path of a pad file, which is never created on disk.
func (p *parser) padPath(raw [][]byte) []string {
	const pad = ".pad" // the usual element
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
