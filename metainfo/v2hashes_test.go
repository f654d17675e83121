package metainfo_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spate/bencode"
	"spate/merkle"
	"spate/metainfo"
)

// withV2Hashes returns a v1 torrent with pieces of 32 KiB and its v2 hashes, which are
// invented except where one follows from another.
func withV2Hashes(t *testing.T, files ...metainfo.File) *metainfo.MetaInfo {
	t.Helper()
	info := metainfo.Info{Name: "t", PieceLength: 32 << 10, Files: files}
	total := int64(0)
	for k := range files {
		files[k].Offset = total
		total += files[k].Length
	}
	n := int((total + info.PieceLength - 1) / info.PieceLength)
	info.Pieces = make([]byte, 20*n)
	m, err := metainfo.New(info, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &metainfo.V2Hashes{}
	for k := range n {
		sum := sha256.Sum256([]byte{byte(k)})
		h.Pieces = append(h.Pieces, sum[:]...)
	}
	for k, f := range files {
		root := sha256.Sum256([]byte{byte(k), 1})
		first, last := f.Offset/info.PieceLength, (f.Offset+f.Length+info.PieceLength-1)/info.PieceLength
		switch {
		case f.Length == 0:
			root = [32]byte{}
		case f.Offset%info.PieceLength == 0 && f.Length >= info.PieceLength && (f.Offset+f.Length == total || (f.Offset+f.Length)%info.PieceLength == 0):
			root = merkle.Root(h.Pieces[32*first:32*last], 1)
		}
		h.Files = append(h.Files, root[:]...)
	}
	m.V2Hashes = h
	return m
}

func TestV2Hashes(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]metainfo.File{
		"a piece":      {{Length: 32 << 10}},
		"a byte":       {{Length: 1}},
		"three pieces": {{Length: 70_000}},
		"files": {
			{Path: []string{"a"}, Length: 64 << 10}, {Path: []string{"b"}}, {Path: []string{"c"}, Length: 40_000},
			{Path: []string{"d"}, Length: 5}, {Path: []string{"e"}, Length: 90_000},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := withV2Hashes(t, files...)
			raw, err := m.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			read, err := metainfo.Parse(raw)
			if err != nil || len(read.Warnings) > 0 {
				t.Fatalf("Parse: %v, warnings %v", err, read.Warnings)
			}
			if diff := cmp.Diff(m.V2Hashes, read.V2Hashes); diff != "" || read.Hash() != m.Hash() {
				t.Errorf("the v2 hashes differ:\n%s", diff)
			}
			if _, ok := read.HashV2(); ok || read.Info.Format() != metainfo.V1 {
				t.Error("the torrent is not an ordinary v1 torrent")
			}
			read.Comment = "changed"
			if raw, err = read.Bytes(); err != nil {
				t.Fatal(err)
			}
			if again, err := metainfo.Parse(raw); err != nil || again.V2Hashes == nil {
				t.Errorf("after an edit Parse returns the v2 hashes %v and the error %v", again.V2Hashes, err)
			}
			read.V2Hashes = nil
			if raw, err = read.Bytes(); err != nil || bytes.Contains(raw, []byte("v2 hashes")) {
				t.Errorf("the removed v2 hashes are still in the file (%v)", err)
			}
		})
	}
}

// TestWrongV2HashesAreIgnored checks that v2 hashes that cannot describe the data cost only a
// warning.
func TestWrongV2HashesAreIgnored(t *testing.T) {
	t.Parallel()
	files := []metainfo.File{
		{Path: []string{"a"}, Length: 64 << 10}, {Path: []string{"b"}}, {Path: []string{"c"}, Length: 70_000},
	}
	m := withV2Hashes(t, files...)
	good := m.V2Hashes.Append(nil)
	flipped := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	pieces := len(m.V2Hashes.Pieces)
	m.V2Hashes = nil
	bare, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		value []byte
		ok    bool
	}{
		"the hashes":                    {bencode.AppendString(nil, good), true},
		"empty":                         {bencode.AppendString(nil, ""), false},
		"a byte less":                   {bencode.AppendString(nil, good[1:]), false},
		"a hash more":                   {bencode.AppendString(nil, append(bytes.Clone(good), good[:32]...)), false},
		"pieces alone":                  {bencode.AppendString(nil, good[:pieces]), false},
		"a piece of a whole file":       {bencode.AppendString(nil, flipped(40)), false},
		"the root of a whole file":      {bencode.AppendString(nil, flipped(pieces)), false},
		"a root of a file without data": {bencode.AppendString(nil, flipped(pieces+32)), false},
		"no root of a file with data": {bencode.AppendString(nil,
			append(bytes.Clone(good[:pieces+64]), make([]byte, 32)...)), false},
		"a number": {bencode.AppendInt(nil, 7), false},
		"a list":   {[]byte("le"), false},
	} {
		raw, err := metainfo.Edit(bare, map[string][]byte{"v2 hashes": c.value})
		if err != nil {
			t.Fatal(err)
		}
		got, err := metainfo.Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if (got.V2Hashes != nil) != c.ok || (len(got.Warnings) == 0) != c.ok {
			t.Errorf("%s: v2 hashes %v, warnings %v; want them read: %t", name, got.V2Hashes != nil, got.Warnings, c.ok)
		}
	}
	for name, info := range map[string]*metainfo.Info{
		"a v2 torrent":          {PieceLength: 16 << 10, MetaVersion: 2, Files: []metainfo.File{{Length: 1}}},
		"pieces of 24 KiB":      {PieceLength: 24 << 10, Files: []metainfo.File{{Length: 1}}},
		"pieces of 8 KiB":       {PieceLength: 8 << 10, Files: []metainfo.File{{Length: 1}}},
		"pieces without length": {Files: []metainfo.File{{Length: 1}}},
	} {
		if _, err := metainfo.ParseV2Hashes(info, bytes.Repeat([]byte{1}, 64)); err == nil {
			t.Errorf("%s has v2 hashes", name)
		}
	}
}

// TestLargeTorrentLeavesOutV2Hashes checks that a torrent file that other programs accept does
// not grow beyond what they accept.
func TestLargeTorrentLeavesOutV2Hashes(t *testing.T) {
	t.Parallel()
	m := withV2Hashes(t, metainfo.File{Length: 200_000 * 32 << 10})
	raw, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 10_000_000 || strings.Contains(string(raw), "v2 hashes") {
		t.Errorf("the torrent file has %d bytes, want one without v2 hashes", len(raw))
	}
	if m.V2Hashes == nil {
		t.Error("Bytes removed the v2 hashes from the torrent")
	}
	read, err := metainfo.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	read.V2Hashes = m.V2Hashes // from another source
	if again, err := read.Bytes(); err != nil || !bytes.Equal(again, raw) {
		t.Errorf("with the v2 hashes from elsewhere the torrent file has %d bytes (%v), want the same %d", len(again), err, len(raw))
	}
	small := withV2Hashes(t, metainfo.File{Length: 100_000 * 32 << 10})
	if raw, err = small.Bytes(); err != nil {
		t.Fatal(err)
	}
	if read, err = metainfo.Parse(raw); err != nil || read.V2Hashes == nil {
		t.Fatalf("Parse: v2 hashes %v, %v", read.V2Hashes != nil, err)
	}
	for range 1000 {
		read.WebSeeds = append(read.WebSeeds, "http://w/"+strings.Repeat("w", 5000))
	}
	if again, err := read.Bytes(); err != nil || len(again) > 10_000_000 || metainfo.RawV2Hashes(again) != nil {
		t.Errorf("the edited torrent file has %d bytes (%v), want one without v2 hashes", len(again), err)
	}
}

// FuzzParseV2Hashes checks that hashes that ParseV2Hashes accepts have the length of the torrent
// and come out of Append unchanged, and that RawV2Hashes finds them in the file.
func FuzzParseV2Hashes(f *testing.F) {
	f.Add(int64(32<<10), int64(64<<10), int64(0), int64(5), bytes.Repeat([]byte{1}, 192))
	f.Add(int64(16<<10), int64(1), int64(1), int64(1), make([]byte, 128))
	f.Fuzz(func(t *testing.T, piece, a, b, c int64, hashes []byte) {
		info := metainfo.Info{Name: "t", PieceLength: piece}
		for k, n := range []int64{a, b, c} {
			if n < 0 || n > 1<<30 || piece < 16<<10 {
				return
			}
			info.Files = append(info.Files, metainfo.File{Path: []string{string(rune('a' + k))}, Length: n})
		}
		info.Pieces = make([]byte, 20*((a+b+c+piece-1)/piece))
		m, err := metainfo.New(info, nil)
		if err != nil {
			return
		}
		h, err := metainfo.ParseV2Hashes(&m.Info, hashes)
		if err != nil {
			return
		}
		if len(hashes) != m.Info.V2HashesSize() || !bytes.Equal(h.Append(nil), hashes) {
			t.Errorf("%d bytes come out as %d, want %d", len(hashes), len(h.Append(nil)), m.Info.V2HashesSize())
		}
		m.V2Hashes = h
		raw, err := m.Bytes()
		if err != nil || !bytes.Equal(metainfo.RawV2Hashes(raw), hashes) {
			t.Errorf("the file has other hashes (%v)", err)
		}
	})
}
