package metainfo_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"spate/bencode"
	"spate/merkle"
	"spate/metainfo"
)

// dict returns a dictionary of keys and encoded values in the given order.
func dict(pairs ...string) string {
	var b strings.Builder
	b.WriteByte('d')
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString(str(pairs[i]) + pairs[i+1])
	}
	return b.String() + "e"
}

func list(values ...string) string { return "l" + strings.Join(values, "") + "e" }

func num(n int64) string { return string(bencode.AppendInt(nil, n)) }

// path returns a list of the elements of a path.
func path(p string) string {
	var parts []string
	for part := range strings.SplitSeq(p, "/") {
		parts = append(parts, str(part))
	}
	return list(parts...)
}

// v1 returns a torrent of empty files with the given paths. It makes a symbolic link of a
// path in the form "link -> target".
func v1(paths ...string) []byte {
	var files []string
	for _, p := range paths {
		at, target, isLink := strings.Cut(p, " -> ")
		if isLink {
			files = append(files, dict("attr", str("l"), "length", num(0), "path", path(at), "symlink path", path(target)))
		} else {
			files = append(files, dict("length", num(0), "path", path(p)))
		}
	}
	return []byte(dict("info", v1Info("files", list(files...))))
}

// v1Info returns an info dictionary with changed or additional values.
func v1Info(pairs ...string) string {
	return dict(merge([]string{"name", str("n"), "piece length", num(16384), "pieces", str("")}, pairs)...)
}

// merge adds the pairs of more to those of base, sorted by key. An empty value removes
// a key.
func merge(base, more []string) []string {
	all := map[string]string{}
	for i := 0; i < len(base); i += 2 {
		all[base[i]] = base[i+1]
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
		if more[i+1] == "" {
			delete(all, more[i])
		}
	}
	var out []string
	for len(all) > 0 {
		least := ""
		for k := range all {
			if least == "" || k < least {
				least = k
			}
		}
		out = append(out, least, all[least])
		delete(all, least)
	}
	return out
}

func mustParse(t *testing.T, b []byte) *metainfo.MetaInfo {
	t.Helper()
	m, err := metainfo.Parse(b)
	if err != nil {
		t.Fatalf("parsing %q: %v", b, err)
	}
	return m
}

// wantError checks that err names field and has an offset inside b.
func wantError(t *testing.T, b []byte, err error, field string) {
	t.Helper()
	var e *metainfo.Error
	if !errors.As(err, &e) {
		t.Errorf("%.200q: %v, want an error about %s", b, err, field)
		return
	}
	if e.Field != field || e.Offset < -1 || e.Offset > len(b) || strings.Contains(e.Error(), "\n") {
		t.Errorf("%.200q: field %q at %d: %v, want %s", b, e.Field, e.Offset, e, field)
	}
}

func paths(m *metainfo.MetaInfo) []string {
	var list []string
	for k := range m.Info.Files {
		f := &m.Info.Files[k]
		s := f.DisplayPath()
		if f.IsSymlink() && f.Symlink != nil {
			s += " -> " + strings.Join(f.Symlink.Target, "/")
		} else if f.IsSymlink() {
			s += " -> nowhere"
		}
		list = append(list, s)
	}
	return list
}

func rawPath(r metainfo.Rename) string { return string(bytes.Join(r.Raw, []byte("/"))) }

// TestSetLayersAfterHashesChange checks that a torrent whose hashes were written in place
// equals the torrent that New makes of the same hashes.
func TestSetLayersAfterHashesChange(t *testing.T) {
	t.Parallel()
	for _, format := range []metainfo.Format{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		build := func(b byte) *metainfo.MetaInfo {
			layer := bytes.Repeat([]byte{b}, 3*32)
			long, short := merkle.Root(layer, merkle.Layer(16<<10)), [32]byte{b}
			info := metainfo.Info{Name: "n", PieceLength: 16 << 10, Files: []metainfo.File{
				{Path: []string{"a"}, Length: 3 * 16 << 10}, {Path: []string{"b"}, Length: 0}, {Path: []string{"c"}, Length: 5},
			}}
			if format != metainfo.V2 {
				info.Pieces = bytes.Repeat([]byte{b}, 4*20)
			}
			if format == metainfo.V1 {
				layer = nil
			} else {
				info.MetaVersion = 2
				info.Files[0].PiecesRoot, info.Files[2].PiecesRoot = &long, &short
			}
			m, err := metainfo.New(info, layersOf(long, layer))
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		got, want := build(1), build(2)
		copy(got.Info.Pieces, want.Info.Pieces)
		for k := range got.Info.Files {
			if root := got.Info.Files[k].PiecesRoot; root != nil {
				*root = *want.Info.Files[k].PiecesRoot
			}
		}
		if err := got.SetLayers(want.PieceLayers); err != nil {
			t.Fatal(err)
		}
		a, err1 := got.Bytes()
		b, err2 := want.Bytes()
		if err1 != nil || err2 != nil || !bytes.Equal(a, b) || got.Hash() != want.Hash() {
			t.Errorf("%s: the torrents differ: %v, %v", format, err1, err2)
		}
		h2, _ := got.HashV2()
		if w2, _ := want.HashV2(); h2 != w2 {
			t.Errorf("%s: the v2 info-hash is %v, want %v", format, h2, w2)
		}
		if format != metainfo.V1 && got.SetLayers(map[[32]byte][]byte{{9}: make([]byte, 64)}) == nil {
			t.Errorf("%s: a layer that does not match its root was accepted", format)
		}
	}
}

// layersOf returns the piece layers of one file, or nil if layer is nil.
func layersOf(root [32]byte, layer []byte) map[[32]byte][]byte {
	if layer == nil {
		return nil
	}
	return map[[32]byte][]byte{root: layer}
}
