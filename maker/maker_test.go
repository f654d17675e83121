package maker

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"spate/merkle"
	"spate/metainfo"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// write creates the files of a tree below dir. files maps paths to contents; a path
// that ends in a slash is a directory.
func write(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(p, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, data, 0o644))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

func mustMake(t testing.TB, path string, o Options) *metainfo.MetaInfo {
	t.Helper()
	m, err := Make(context.Background(), path, o)
	must(t, err)
	return m
}

// naive computes the pieces and the root of each file directly from the definitions of BEP
// 3 and BEP 52.
func naive(t testing.TB, dir string, i *metainfo.Info) (pieces []byte, roots [][32]byte) {
	t.Helper()
	var space []byte
	for k := range i.Files {
		f := &i.Files[k]
		data := make([]byte, f.Length)
		if !f.Pad() && !f.IsSymlink() {
			var err error
			data, err = os.ReadFile(filepath.Join(append([]string{dir, i.Name}, f.Path...)...))
			must(t, err)
			if f.Length > 0 {
				roots = append(roots, naiveRoot(data))
			}
		}
		space = append(space, data...)
	}
	if !i.HasV1() {
		return nil, roots
	}
	for piece := range slices.Chunk(space, int(i.PieceLength)) {
		h := sha1.Sum(piece)
		pieces = append(pieces, h[:]...)
	}
	return pieces, roots
}

// naiveBeside computes the v2 hashes of a v1 torrent directly from their definition.
func naiveBeside(t testing.TB, dir string, i *metainfo.Info) (pieces, files []byte) {
	t.Helper()
	var space []byte
	for k := range i.Files {
		f := &i.Files[k]
		root := [32]byte{}
		if f.Length > 0 {
			data, err := os.ReadFile(filepath.Join(append([]string{dir, i.Name}, f.Path...)...))
			must(t, err)
			root = naiveRoot(data)
			space = append(space, data...)
		}
		files = append(files, root[:]...)
	}
	for piece := range slices.Chunk(space, int(i.PieceLength)) {
		var blocks []byte
		for block := range slices.Chunk(piece, 16<<10) {
			h := sha256.Sum256(block)
			blocks = append(blocks, h[:]...)
		}
		blocks = append(blocks, make([]byte, 32*int(i.PieceLength)/(16<<10)-len(blocks))...)
		root := merkle.Root(blocks, 0)
		pieces = append(pieces, root[:]...)
	}
	return pieces, files
}

func naiveRoot(data []byte) [32]byte {
	var hashes [][32]byte
	for block := range slices.Chunk(data, 16<<10) {
		hashes = append(hashes, sha256.Sum256(block))
	}
	for n := 1; ; n *= 2 {
		if n >= len(hashes) {
			hashes = append(hashes, make([][32]byte, n-len(hashes))...)
			break
		}
	}
	for len(hashes) > 1 {
		for k := range len(hashes) / 2 {
			hashes[k] = sha256.Sum256(append(hashes[2*k][:], hashes[2*k+1][:]...))
		}
		hashes = hashes[:len(hashes)/2]
	}
	return hashes[0]
}

// checkHashes compares the hashes of a torrent with those of naive.
func checkHashes(t testing.TB, dir string, m *metainfo.MetaInfo) {
	t.Helper()
	pieces, roots := naive(t, dir, &m.Info)
	if m.Info.HasV1() && !slices.Equal(pieces, m.Info.Pieces) {
		t.Error("v1 pieces differ from the naive ones")
	}
	if h := m.V2Hashes; h != nil {
		wantPieces, wantFiles := naiveBeside(t, dir, &m.Info)
		if !bytes.Equal(h.Pieces, wantPieces) {
			t.Errorf("the roots of the pieces are\n%x, want\n%x", h.Pieces, wantPieces)
		}
		if !bytes.Equal(h.Files, wantFiles) {
			t.Errorf("the roots of the files are\n%x, want\n%x", h.Files, wantFiles)
		}
	}
	if !m.Info.HasV2() {
		return
	}
	var got [][32]byte
	for k := range m.Info.Files {
		if r := m.Info.Files[k].PiecesRoot; r != nil {
			got = append(got, *r)
		}
	}
	if !slices.Equal(got, roots) {
		t.Errorf("roots %x, want %x", got, roots)
	}
	if n := m.MissingLayers(); n != 0 {
		t.Errorf("%d files lack a piece layer", n)
	}
}

// formats are all formats, and the default: v1 with v2 hashes.
var formats = []metainfo.Format{metainfo.V1, metainfo.V2, metainfo.Hybrid, ""}

func TestMakeAgainstNaiveHash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string][]byte{
		"single": random(1, 300_001),
		"exact":  random(2, 64<<10),
		"small":  []byte("x"),
		"tree/b": random(3, 100_000), "tree/a/z": random(4, 16<<10), "tree/a-b": random(5, 1),
		"tree/empty": nil, "tree/big": random(6, 5<<20), "tree/last": random(7, 33_000), "tree/zero": nil,
		"lone/only": random(8, 40_000),
	})
	for _, name := range []string{"single", "exact", "small", "tree", "lone"} {
		for _, f := range formats {
			for _, length := range []int64{16 << 10, 64 << 10, 1 << 20, 4 << 20} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, f, length), func(t *testing.T) {
					m := mustMake(t, filepath.Join(dir, name), Options{Format: f, PieceLength: length})
					if got := m.Info.Format(); got != f && (f != "" || got != metainfo.V1) {
						t.Errorf("the format is %s, want %q", got, f)
					}
					if (m.V2Hashes != nil) != (f == "") {
						t.Errorf("v2 hashes beside the format %q: %t", f, m.V2Hashes != nil)
					}
					checkHashes(t, dir, m)
					b, err := m.Bytes()
					must(t, err)
					again, err := metainfo.Parse(b)
					must(t, err)
					if diff := cmp.Diff([]any{m.Info.Files, m.V2Hashes}, []any{again.Info.Files, again.V2Hashes}); diff != "" || len(again.Warnings) > 0 {
						t.Errorf("the parsed torrent differs, with the warnings %v:\n%s", again.Warnings, diff)
					}
				})
			}
		}
	}
}

func TestMakeAnyTreeAgainstNaiveHash(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		must(t, err)
		files := map[string][]byte{}
		sizes := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(16300, 16500), rapid.IntRange(0, 300_000))
		for k, n := range rapid.SliceOfN(sizes, 1, 12).Draw(rt, "sizes") {
			files[fmt.Sprintf("t/%c/%d", 'a'+k%3, k)] = random(uint64(k), n)
		}
		files["t/some"] = []byte("data")
		write(t, dir, files)
		o := Options{
			Format:      rapid.SampledFrom(formats).Draw(rt, "format"),
			PieceLength: rapid.SampledFrom([]int64{16 << 10, 32 << 10, 128 << 10}).Draw(rt, "piece length"),
			Workers:     rapid.IntRange(1, 5).Draw(rt, "workers"),
		}
		if o.Format == metainfo.V1 {
			o.PieceLength = rapid.Int64Range(1000, 100_000).Draw(rt, "odd piece length")
		}
		m, err := Make(context.Background(), filepath.Join(dir, "t"), o)
		must(t, err)
		checkHashes(t, dir, m)
	})
}

// TestOrderedReads checks that reads from a rotational disk are sequential, and that
// the result is the same.
func TestOrderedReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string][]byte{
		"t/a": random(1, 9<<20), "t/b": random(2, 100_000), "t/c": random(3, 70_000), "t/d": random(4, 5<<20+1),
	})
	for _, f := range formats {
		for _, length := range []int64{16 << 10, 1 << 20, 8 << 20} {
			o := Options{Format: f, PieceLength: length, Workers: 3}
			want := mustMake(t, filepath.Join(dir, "t"), o)
			tr, how, err := o.scan(context.Background(), filepath.Join(dir, "t"))
			must(t, err)
			b, err := newBuild(tr, &o, how)
			must(t, err)
			b.ordered = true
			must(t, b.hash(context.Background(), tr))
			m, err := b.torrent()
			must(t, err)
			m, err = b.complete(m)
			must(t, err)
			if m.Hash() != want.Hash() || !cmp.Equal(m.V2Hashes, want.V2Hashes) {
				t.Errorf("%q with pieces of %d differs", f, length)
			}
		}
	}
}

func TestMakeIsDeterministic(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{}
	for k := range 300 {
		files[fmt.Sprintf("t/%03d", k)] = random(uint64(k), k*331)
	}
	files["t/large"] = random(1, 9<<20)
	write(t, dir, files)
	for _, f := range formats {
		var first []byte
		for _, procs := range []int{1, 2, 3, 8} {
			before := runtime.GOMAXPROCS(procs)
			m := mustMake(t, filepath.Join(dir, "t"), Options{Format: f, NoDate: true})
			runtime.GOMAXPROCS(before)
			b, err := m.Bytes()
			must(t, err)
			if first == nil {
				first = b
			} else if string(b) != string(first) {
				t.Errorf("%s: the torrent made with GOMAXPROCS=%d has other bytes", f, procs)
			}
		}
	}
}

func TestMakeFields(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"f": []byte("hello")})
	o := Options{
		Name: "other", Announce: [][]string{{"http://a/announce", "http://b/announce"}, {"udp://c:1"}},
		WebSeeds: []string{"http://w/f"}, Nodes: []string{"router:1"}, Private: true, Comment: "c", Source: "s",
		CreatedBy: "me", NoDate: true, Collections: []string{"set"},
	}
	m := mustMake(t, filepath.Join(dir, "f"), o)
	b, err := m.Bytes()
	must(t, err)
	m, err = metainfo.Parse(b)
	must(t, err)
	i := &m.Info
	if i.Name != "other" || !i.Private || i.Source != "s" || !slices.Equal(i.Collections, o.Collections) ||
		m.Comment != "c" || m.CreatedBy != "me" || !m.CreationDate.IsZero() {
		t.Errorf("the torrent does not have the fields of the options: %+v", m)
	}
	if diff := cmp.Diff(m.AnnounceList, o.Announce) + cmp.Diff(m.WebSeeds, o.WebSeeds) + cmp.Diff(m.Nodes, o.Nodes); diff != "" {
		t.Errorf("the lists differ from the options:\n%s", diff)
	}
	o = Options{Announce: [][]string{{"http://bücher.example/ü"}}, WebSeeds: []string{"https://例え。テスト/"}, Nodes: []string{"bücher.example:1", "::1:1"}}
	m = mustMake(t, filepath.Join(dir, "f"), o)
	got := append(append(slices.Clone(m.AnnounceList[0]), m.WebSeeds...), m.Nodes...)
	if want := []string{"http://xn--bcher-kva.example/ü", "https://xn--r8jz45g.xn--zckzah/", "xn--bcher-kva.example:1", "::1:1"}; !slices.Equal(got, want) {
		t.Errorf("the torrent contains %q, want %q", got, want)
	}
	if m := mustMake(t, filepath.Join(dir, "f"), Options{}); m.CreationDate.IsZero() || !strings.HasPrefix(m.CreatedBy, "spate/") {
		t.Errorf("the default creation date is %v and the program %q, want a date and spate", m.CreationDate, m.CreatedBy)
	}
}

func TestMakeRejects(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{
		"empty": nil, "f": []byte("data"), "hollow/a/": nil, "hollow/b": nil,
		"case/Name": []byte("1"), "case/name": []byte("2"),
		"dirs/A/x": []byte("1"), "dirs/a/y": []byte("2"),
		"nfc/\u00e9": []byte("1"), "nfc/e\u0301": []byte("2"),
		"fold/stra\u00dfe": []byte("1"), "fold/STRASSE": []byte("2"),
		"joined/é": []byte("1"), "joined/é\u200d": []byte("2"),
	})
	if bytewise := os.WriteFile(filepath.Join(dir, "\xff"), []byte("1"), 0o666) == nil; bytewise { // not on all systems
		for _, format := range []metainfo.Format{metainfo.V2, metainfo.Hybrid} {
			var name *NameError
			if _, err := Make(context.Background(), filepath.Join(dir, "\xff"), Options{Format: format}); !errors.As(err, &name) {
				t.Errorf("a name that is not UTF-8 in the format %q: %v, want a *NameError", format, err)
			}
		}
	}
	for name, want := range map[string]any{
		"empty": ErrEmpty, "hollow": ErrEmpty, "none": os.ErrNotExist,
		"case": new(*CollisionError), "dirs": new(*CollisionError), "nfc": new(*CollisionError), "fold": new(*CollisionError),
		"joined": new(*CollisionError),
	} {
		_, err := Make(context.Background(), filepath.Join(dir, name), Options{})
		if e, ok := want.(error); ok && !errors.Is(err, e) || !ok && !errors.As(err, want) {
			t.Errorf("%s: Make returned %v, want %v", name, err, want)
		}
	}
	for what, o := range map[string]Options{
		"piece length": {PieceLength: 24 << 10}, "small piece": {Format: metainfo.V2, PieceLength: 8 << 10}, "negative": {PieceLength: -1},
		"huge": {PieceLength: 1 << 40}, "format": {Format: "v3"}, "like": {Like: "x"}, "name": {Name: "a/b"}, "dots": {Name: ".."},
		"include": {Include: []string{"["}}, "exclude": {Exclude: []string{"a//b"}},
	} {
		if _, err := Make(context.Background(), filepath.Join(dir, "f"), o); err == nil {
			t.Errorf("Make accepted the invalid option %s", what)
		}
	}
	if _, err := Make(context.Background(), "", Options{}); !errors.Is(err, ErrNoPath) {
		t.Errorf("empty path: %v, want ErrNoPath", err)
	}
	if _, _, err := Measure(context.Background(), "", Options{}); !errors.Is(err, ErrNoPath) {
		t.Errorf("measure an empty path: %v, want ErrNoPath", err)
	}
	var e *PieceLengthError
	if _, err := Make(context.Background(), filepath.Join(dir, "f"), Options{PieceLength: 24 << 10}); !errors.As(err, &e) {
		t.Errorf("Make returned %v, want a PieceLengthError", err)
	}
}
