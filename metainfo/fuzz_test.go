package metainfo_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"spate/metainfo"
)

// FuzzParse checks that every accepted torrent is safe and is written unchanged, that
// its info dictionary can be parsed alone, and that New can make a torrent of its
// values.
func FuzzParse(f *testing.F) {
	for _, path := range goldenPaths(f) {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, _ := odd()
	f.Add(b)
	f.Add(v1("a/b", "A/B", "l -> a", "..", "con", "\xff"))
	f.Add(v1("d/a", "d/l -> ../d", "m -> d/l", "n -> m"))
	f.Add(v2Torrent(tree("n", 20000, [32]byte{1})))
	f.Add([]byte("d4:infod6:lengthi1e6:lengthi2eee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := metainfo.Parse(b)
		if err != nil {
			var typed *metainfo.Error
			if !errors.As(err, &typed) || typed.Offset < -1 || typed.Offset > len(b) {
				t.Fatalf("Parse returned the error %#v, want an *Error with an offset in the input", err)
			}
			return
		}
		checkSafe(t, m)
		out, err := m.Bytes()
		if err != nil || !bytes.HasPrefix(b, out) {
			t.Fatalf("Bytes returned %q, %v, want the start of the input", out, err)
		}
		alone, err := metainfo.FromInfo(m.InfoBytes)
		if err != nil || alone.Hash() != m.Hash() || len(alone.Info.Files) != len(m.Info.Files) {
			t.Fatalf("the info dictionary alone gives another torrent, or the error %v", err)
		}
		if n := len(m.Info.Renames(m.InfoBytes)); (n > 0) != (m.Info.NumRenames() > 0) {
			t.Fatalf("NumRenames is %d, but Renames returned %d", m.Info.NumRenames(), n)
		}
		if g, err := metainfo.ParseMagnet(m.Magnet().String()); err == nil && g.Hash() != m.Hash() {
			t.Fatalf("the magnet link has another info-hash: %v", g)
		}
		m.Comment += "!"
		out, err = m.Bytes()
		if err != nil || !bytes.Contains(out, m.InfoBytes) {
			t.Fatalf("the edited torrent %q does not contain the info dictionary, or the error is %v", out, err)
		}
		if again, err := metainfo.Parse(out); err != nil || again.Hash() != m.Hash() {
			t.Fatalf("the edited torrent has another info-hash, or the error is %v", err)
		}
		checkRemade(t, m)
	})
}

// checkRemade makes a torrent from the parsed values with New. New may return an error if
// the parser changed a value.
func checkRemade(t *testing.T, m *metainfo.MetaInfo) {
	made, err := metainfo.New(m.Info, nil)
	if err != nil {
		return
	}
	if m.Info.NumRenames() == 0 && m.Info.RawName == "" && len(made.Info.Files) != len(m.Info.Files) {
		t.Fatalf("New made a torrent of %d files, want %d", len(made.Info.Files), len(m.Info.Files))
	}
	twice, err := metainfo.New(made.Info, nil)
	if err != nil || !bytes.Equal(twice.InfoBytes, made.InfoBytes) {
		t.Fatalf("the info dictionary %q became %q when it was made again: %v", made.InfoBytes, twice.InfoBytes, err)
	}
}

// BenchmarkParse parses a torrent of 50,000 files in 5,000 directories and 100,000
// pieces.
func BenchmarkParse(b *testing.B) {
	i := metainfo.Info{Name: "n", PieceLength: 1 << 20, Pieces: make([]byte, 20*100_000)}
	for k := range 50_000 {
		i.Files = append(i.Files, metainfo.File{
			Path: []string{"directory", fmt.Sprint("part ", k/10), fmt.Sprintf("a file of some length %05d.dat", k)}, Length: 2 << 20,
		})
	}
	m, err := metainfo.New(i, nil)
	if err != nil {
		b.Fatal(err)
	}
	torrent, err := m.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(torrent)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := metainfo.Parse(torrent); err != nil {
			b.Fatal(err)
		}
	}
}
