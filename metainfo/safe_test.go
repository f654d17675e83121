package metainfo_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"spate/metainfo"
)

// costTime is what a hostile torrent may cost; under the race detector, which
// makes everything many times slower, it is not measured.
const costTime = 100 * time.Millisecond

// checkSafe holds what is true of every torrent that was read.
func checkSafe(t *testing.T, m *metainfo.MetaInfo) {
	t.Helper()
	i := &m.Info
	checkPart := func(s string) {
		if s == "" || s == "." || s == ".." || len(s) > 255 || strings.ContainsAny(s, "/\\\x00\n\r\x1b\u202e\u2066") || !utf8.ValidString(s) {
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
			t.Fatalf("two files are %q", key)
		} else {
			seen[key] = true
		}
	}
	for k := range i.Files {
		for n := 1; n < len(i.Files[k].Path); n++ {
			if dir := strings.ToLower(strings.Join(i.Files[k].Path[:n], "/")); seen[dir] && !i.Files[k].Pad() {
				t.Fatalf("%q is both a file and a directory", dir)
			}
		}
	}
	if i.TotalLength() != off || i.NumPieces() > metainfo.MaxPieces || i.DataLength() > off {
		t.Fatalf("%d bytes in %d pieces, %d without padding", i.TotalLength(), i.NumPieces(), i.DataLength())
	}
	if i.HasV1() && len(i.Pieces) != 20*i.NumPieces() {
		t.Fatalf("%d bytes of hashes for %d pieces", len(i.Pieces), i.NumPieces())
	}
}
