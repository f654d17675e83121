package maker

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"spate/merkle"
	"spate/metainfo"
)

// largeTorrent returns a torrent of files of size bytes each, with invented hashes.
func largeTorrent(t *testing.T, format metainfo.Format, files int, size int64) *metainfo.MetaInfo {
	t.Helper()
	info := metainfo.Info{Name: "large", PieceLength: PieceLength(size*int64(files), true)}
	layers := map[[32]byte][]byte{}
	at := int64(0)
	for k := range files {
		f := metainfo.File{Length: size}
		if files > 1 {
			f.Path = []string{fmt.Sprintf("%03d", k/1000), fmt.Sprintf("%03d", k%1000)}
		}
		if format != metainfo.V1 {
			layer := bytes.Repeat([]byte{byte(k), byte(k >> 8), byte(k >> 16), 1}, 8*int((size+info.PieceLength-1)/info.PieceLength))
			root := [32]byte(layer)
			if len(layer) > 32 {
				root = merkle.Root(layer, merkle.Layer(info.PieceLength))
				layers[root] = layer
			}
			f.PiecesRoot = &root
		}
		info.Files = append(info.Files, f)
		at += size
		if over := at % info.PieceLength; over > 0 && files > 1 && format != metainfo.V1 {
			if format == metainfo.Hybrid {
				info.Files = append(info.Files, metainfo.File{Length: info.PieceLength - over, Attr: metainfo.AttrPad})
			}
			at += info.PieceLength - over
		}
	}
	if format != metainfo.V1 {
		info.MetaVersion = 2
	}
	if format != metainfo.V2 {
		info.Pieces = make([]byte, 20*((at+info.PieceLength-1)/info.PieceLength))
	}
	m, err := metainfo.New(info, layers)
	if err != nil {
		t.Fatalf("%s, %d files of %d bytes: %v", format, files, size, err)
	}
	return m
}

// TestLargeTorrents checks that the torrents of large data can be made, written, read and
// fetched as metadata from peers, and that memory grows only with the size of the torrent.
func TestLargeTorrents(t *testing.T) {
	all := []metainfo.Format{metainfo.V1, metainfo.V2, metainfo.Hybrid}
	for _, c := range []struct {
		files   int
		size    int64
		formats []metainfo.Format
		fits    bool // other programs accept the torrents too
		long    bool
	}{
		{1, 1e9, all, true, false},
		{1, 100e9, all, true, false},
		{1, 1e12, all, true, false},
		{1, 10e12, all, true, false},
		{1, 20e12, all, false, false},
		{1000, 10e9, all, true, false},
		{1, 100e12, all, false, true},
		{100_000, 1e6, all, false, true},
		{1_000_000, 1e4, all, false, true},
	} {
		for _, format := range c.formats {
			t.Run(fmt.Sprintf("%s, %d of %.0e bytes", format, c.files, float64(c.size)), func(t *testing.T) {
				if c.long && (raceEnabled || testing.Short()) {
					t.Skip("takes seconds; scripts/check runs it without the race detector")
				}
				m := largeTorrent(t, format, c.files, c.size)
				b, err := m.Bytes()
				if err != nil {
					t.Fatal(err)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				read, err := metainfo.Parse(b)
				runtime.ReadMemStats(&after)
				if err != nil {
					t.Fatal(err)
				}
				if read.Hash() != m.Hash() || read.MissingLayers() > 0 || read.Info.TotalLength() != m.Info.TotalLength() {
					t.Errorf("the torrent that was read has %d bytes, %d layers are missing", read.Info.TotalLength(), read.MissingLayers())
				}
				if used := int(after.TotalAlloc - before.TotalAlloc); used > 2<<20+6*len(b) {
					t.Errorf("Parse allocated %d bytes for a torrent of %d", used, len(b))
				}
				if _, err := metainfo.FromInfo(read.InfoBytes); err != nil {
					t.Errorf("as metadata from peers: %v", err)
				}
				var exceeds []string
				for _, e := range read.Exceeds(b) {
					exceeds = append(exceeds, e.What)
				}
				if c.fits && len(exceeds) > 0 {
					t.Errorf("%d bytes, pieces of %d: other programs refuse %v", len(b), read.Info.PieceLength, exceeds)
				}
				if c.files == 1_000_000 && !slices.Equal(exceeds, []string{"bytes", "tokens"}) {
					t.Errorf("a million files exceed %v, want bytes and tokens", exceeds)
				}
			})
		}
	}
}

// TestTooLargeTorrents checks that torrents above the limits are refused before any data is
// hashed.
func TestTooLargeTorrents(t *testing.T) {
	t.Parallel()
	ok := &build{layout: layout{v1: true}, info: metainfo.Info{Pieces: make([]byte, metainfo.MaxSize)}}
	if err := ok.checkSize(metainfo.MaxFiles); err != nil {
		t.Errorf("at the limits: %v", err)
	}
	for name, c := range map[string]struct {
		files int
		b     *build
	}{
		"files":         {metainfo.MaxFiles + 1, &build{}},
		"pieces":        {1, &build{info: metainfo.Info{Pieces: make([]byte, metainfo.MaxSize+1)}}},
		"layers":        {1, &build{layers: [][]byte{make([]byte, metainfo.MaxSize+32)}}},
		"names":         {1, &build{layout: layout{v1: true}, info: metainfo.Info{Files: slices.Repeat([]metainfo.File{{Length: 1, Path: []string{strings.Repeat("n", 255)}}}, 1_000_000)}}},
		"hybrid names":  {1, &build{layout: layout{v1: true, v2: true}, info: metainfo.Info{Files: slices.Repeat([]metainfo.File{{Length: 1, Path: []string{strings.Repeat("n", 120)}}}, 1_000_000)}}},
		"pieces, names": {1, &build{layout: layout{v1: true}, info: metainfo.Info{Pieces: make([]byte, metainfo.MaxSize-1), Files: make([]metainfo.File, 1)}}},
	} {
		var e *SizeError
		if err := c.b.checkSize(c.files); !errors.As(err, &e) || len(e.Error()) > 200 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
