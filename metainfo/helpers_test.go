package metainfo_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"spate/metainfo"
)

// costTime bounds the time to parse a hostile torrent. The test compares it with the lower
// of wall time and CPU time, because other load on the machine makes either too high.
const costTime = 100 * time.Millisecond

// slowness returns how many times slower this machine is now than the machine on which
// costTime was measured, but at least 1. It measures scattered writes, fresh memory and
// branches on bytes, because these dominate the time of the parser.
func slowness() float64 {
	const usual = 45 * time.Millisecond
	best := time.Hour
	for range 3 {
		start := cpuTime()
		table := make([]uint64, 1<<20)
		b := make([]byte, 8<<20)
		h := uint64(1)
		for i := range b {
			h ^= uint64(b[i]) + uint64(i)
			if h&7 == 3 {
				h *= 0x9e3779b97f4a7c15
				table[h>>44]++
			}
			h += h<<7 ^ h>>9
			b[i] = byte(h)
		}
		best = min(best, cpuTime()-start)
	}
	return max(1, float64(best)/float64(usual))
}

// checkSafe checks the conditions that every accepted torrent must meet.
func checkSafe(t *testing.T, m *metainfo.MetaInfo) {
	t.Helper()
	i := &m.Info
	checkPart := func(s string) {
		if s == "" || s == "." || s == ".." || len(s) > 255 || strings.ContainsAny(s, "/\\\x00\n\r\x1b\u202e\u2066\u200b\ufeff\u3164") || !utf8.ValidString(s) {
			t.Fatalf("%q is not safe", s)
		}
	}
	checkPart(i.Name)
	seen := make(map[string]bool, len(i.Files))
	off := int64(0)
	for k := range i.Files {
		f := &i.Files[k]
		if f.Length < 0 || f.Offset < off {
			t.Fatalf("file %d has %d bytes at %d, after %d", k, f.Length, f.Offset, off)
		}
		off = f.Offset + f.Length
		for _, part := range f.Path {
			checkPart(part)
		}
		if f.Symlink != nil {
			for _, part := range f.Symlink.Target {
				checkPart(part)
			}
		}
		if f.Pad() {
			continue
		}
		if key := strings.ToLower(f.DisplayPath()); seen[key] {
			t.Fatalf("two files have the path %q", key)
		} else {
			seen[key] = true
		}
	}
	for k := range i.Files {
		if i.Files[k].Pad() {
			continue
		}
		path := strings.ToLower(i.Files[k].DisplayPath())
		for n, c := range path {
			if c == '/' && seen[path[:n]] {
				t.Fatalf("%q is both a file and a directory", path[:n])
			}
		}
	}
	if i.TotalLength() != off || i.NumPieces() > metainfo.MaxPieces || i.DataLength() > off {
		t.Fatalf("%d bytes in %d pieces, %d without padding", i.TotalLength(), i.NumPieces(), i.DataLength())
	}
	if i.HasV1() && len(i.Pieces) != 20*i.NumPieces() {
		t.Fatalf("there are %d bytes of v1 hashes for %d pieces, want 20 for each", len(i.Pieces), i.NumPieces())
	}
}
