package metainfo_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate/merkle"
	"spate/metainfo"
)

// golden is the content of a torrent in testdata/golden as libtorrent reads it.
type golden struct {
	V1          string `json:"v1"`
	V2          string `json:"v2"`
	Name        string `json:"name"`
	Pieces      int    `json:"pieces"`
	PieceLength int64  `json:"piece_length"`
	Files       []struct {
		Path       string `json:"path"`
		Length     int64  `json:"length"`
		Symlink    string `json:"symlink"`
		Executable bool   `json:"executable"`
		PiecesRoot string `json:"pieces_root"`
	} `json:"files"`
}

// content returns the data of a file as testdata/golden/make.py writes it.
func content(path string, n int64) []byte {
	seed := 0
	for _, c := range []byte(path) {
		seed += int(c)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + (i>>8)*3 + seed)
	}
	return b
}

func goldenPaths(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/golden/*.torrent")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d golden torrents, want at least 10: %v", len(files), err)
	}
	return files
}

// TestGolden checks that torrents of other programs are read as libtorrent reads them,
// that their hashes match the data, and that they are written unchanged.
func TestGolden(t *testing.T) {
	for _, path := range goldenPaths(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".torrent"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			m, err := metainfo.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Warnings) > 0 {
				t.Errorf("Parse returned warnings: %v", m.Warnings)
			}
			checkSafe(t, m)
			checkGolden(t, m, strings.TrimSuffix(path, ".torrent")+".json")
			checkData(t, m)
			if b, err := m.Bytes(); err != nil || !bytes.Equal(b, raw) {
				t.Errorf("Bytes returned %q, %v, want the original bytes", b, err)
			}
			checkRebuilt(t, m, raw)
		})
	}
}

func checkGolden(t *testing.T, m *metainfo.MetaInfo, path string) {
	t.Helper()
	var want golden
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	v1, ok1 := m.HashV1()
	v2, ok2 := m.HashV2()
	if ok1 != (want.V1 != "") || ok2 != (want.V2 != "") || ok1 && v1.String() != want.V1 || ok2 && v2.String() != want.V2 {
		t.Errorf("info-hashes %v %v, want %v %v", v1, v2, want.V1, want.V2)
	}
	i := &m.Info
	if i.Name != want.Name || i.NumPieces() != want.Pieces || i.PieceLength != want.PieceLength {
		t.Errorf("%q has %d pieces of %d bytes, want %q with %d of %d", i.Name, i.NumPieces(), i.PieceLength, want.Name, want.Pieces, want.PieceLength)
	}
	k := 0
	for n := range i.Files {
		f := &i.Files[n]
		if f.Pad() {
			continue
		}
		w := want.Files[k]
		k++
		path := i.Name
		if !i.Single() {
			path += "/" + f.DisplayPath()
		}
		root, link := "", ""
		if f.PiecesRoot != nil {
			root = hex.EncodeToString(f.PiecesRoot[:])
		}
		if f.Symlink != nil {
			link = i.Name + "/" + strings.Join(f.Symlink.Target, "/")
		}
		if path != w.Path || f.Length != w.Length || f.Executable() != w.Executable || root != w.PiecesRoot || link != w.Symlink {
			t.Errorf("file %q of %d, root %s, link %q, want %+v", path, f.Length, root, link, w)
		}
	}
	if k != len(want.Files) {
		t.Errorf("%d files, want %d", k, len(want.Files))
	}
}

// checkData compares every hash of the torrent with the data.
func checkData(t *testing.T, m *metainfo.MetaInfo) {
	t.Helper()
	i := &m.Info
	space := make([]byte, i.TotalLength())
	for k := range i.Files {
		f := &i.Files[k]
		if f.Pad() || f.Length == 0 {
			continue
		}
		name := f.DisplayPath()
		if i.Single() {
			name = i.Name
		}
		data := content(name, f.Length)
		copy(space[f.Offset:], data)
		if f.PiecesRoot != nil {
			checkFileV2(t, m, f, data)
		}
	}
	for k := range i.NumPieces() {
		start := int64(k) * i.PieceLength
		if i.HasV1() && sha1.Sum(space[start:start+i.PieceSize(k)]) != i.PieceHashV1(k) {
			t.Errorf("piece %d does not match its v1 hash", k)
		}
	}
}

func checkFileV2(t *testing.T, m *metainfo.MetaInfo, f *metainfo.File, data []byte) {
	t.Helper()
	whole := merkle.NewBuilder(0)
	var layer []byte
	for len(data) > 0 {
		piece := merkle.NewBuilder(0)
		for n := int64(0); n < m.Info.PieceLength && len(data) > 0; n += merkle.BlockSize {
			block := data[:min(len(data), merkle.BlockSize)]
			leaf := sha256.Sum256(block)
			whole.Add(&leaf)
			piece.Add(&leaf)
			data = data[len(block):]
		}
		root := piece.RootAt(merkle.Layer(m.Info.PieceLength))
		layer = append(layer, root[:]...)
	}
	if whole.Root() != *f.PiecesRoot {
		t.Errorf("%q does not match its root", f.DisplayPath())
	}
	if got := m.PieceLayer(f); f.Length > m.Info.PieceLength && !bytes.Equal(got, layer) {
		t.Errorf("%q does not match its layer", f.DisplayPath())
	}
}

// checkRebuilt makes the torrent again from the parsed values.
func checkRebuilt(t *testing.T, m *metainfo.MetaInfo, raw []byte) {
	t.Helper()
	made, err := metainfo.New(m.Info, m.PieceLayers)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(m.InfoBytes, []byte("5:mtime")) {
		return // a key that MetaInfo does not have
	}
	if made.Hash() != m.Hash() {
		t.Errorf("New made the info dictionary %q\nwant %q", made.InfoBytes, m.InfoBytes)
	}
	made.AnnounceList, made.WebSeeds, made.Nodes = m.AnnounceList, m.WebSeeds, m.Nodes
	made.Comment, made.CreatedBy, made.Encoding, made.CreationDate = m.Comment, m.CreatedBy, m.Encoding, m.CreationDate
	b, err := made.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := metainfo.Parse(b)
	if err != nil || len(again.Warnings) > 0 || again.MissingLayers() > 0 {
		t.Fatalf("the result cannot be parsed: %v %v", err, again)
	}
	if isLibtorrent := bytes.Contains(raw, []byte("seed.example")) && !bytes.Contains(raw, []byte("mktorrent")); isLibtorrent && !bytes.Equal(b, raw) {
		t.Errorf("the written torrent is\n%q\nwant\n%q", b, raw)
	}
}
