package e2e

import (
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"spate/maker"
	"spate/metainfo"
)

// The tests of this file download one file of torrents that are too large to be stored. The
// test program itself is the web seed: it computes the data of each file from its path.

// inventedEnv is an environment variable. If it is set, the test program runs as a web server of
// invented data instead of running tests.
const inventedEnv = "SPATE_E2E_INVENTED"

// inventedPort is the port of the web server.
const inventedPort = "8080"

// smallLen is the length in bytes of each file of inventedData except large.bin.
const smallLen = 20_000

// inventedLen returns the length in bytes of the file at a path in a torrent called name. The
// length of large.bin is name.
func inventedLen(name, path string) int64 {
	if path == "large.bin" {
		n, _ := strconv.ParseInt(name, 10, 64)
		return n
	}
	return smallLen
}

// inventedData returns the data of the file at a path. large.bin consists of zeros.
func inventedData(path string) io.ReaderAt {
	if path == "large.bin" {
		return zeros{}
	}
	return strings.NewReader(strings.Repeat(path+"\n", smallLen)[:smallLen])
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// serveInvented serves the data of all torrents, and does not return.
func serveInvented(addr string) {
	err := http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(inventedData(path), 0, inventedLen(name, path)))
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// invented returns a torrent of files with the given paths. Only the pieces of file number
// real have their true hashes.
func invented(t *testing.T, name string, pieceLen int64, paths []string, real int, webSeed string) []byte {
	t.Helper()
	info := metainfo.Info{Name: name, PieceLength: pieceLen}
	total := int64(0)
	for _, p := range paths {
		n := inventedLen(name, p)
		info.Files = append(info.Files, metainfo.File{Path: strings.Split(p, "/"), Length: n, Offset: total})
		total += n
	}
	info.Pieces = make([]byte, 20*((total+pieceLen-1)/pieceLen))
	f := &info.Files[real]
	for k := f.Offset / pieceLen; k*pieceLen < f.Offset+f.Length; k++ {
		h := sha1.New()
		for at, end := k*pieceLen, min((k+1)*pieceLen, total); at < end; {
			in := &info.Files[info.FileAt(at)]
			n := min(end, in.Offset+in.Length) - at
			data := inventedData(in.DisplayPath())
			if _, err := io.Copy(h, io.NewSectionReader(data, at-in.Offset, n)); err != nil {
				t.Fatal(err)
			}
			at += n
		}
		h.Sum(info.Pieces[:20*k])
	}
	m, err := metainfo.New(info, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.WebSeeds = []string{webSeed}
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// getOne downloads one file of a torrent on two hosts: on the first from the web seed, and on
// the second from a magnet link, with the metadata and the data from the first. It returns the
// most memory in bytes that each of the two programs has taken.
func getOne(t *testing.T, torrent string, name, path string) (first, second int64) {
	t.Helper()
	l := newLAN(t, 2)
	web, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l.Hosts[0].start("env", inventedEnv+"="+l.Hosts[0].IP+":"+inventedPort, web)
	magnet := strings.TrimSpace(l.Hosts[0].run("magnet", torrent))
	magnet, _, _ = strings.Cut(magnet, "&ws=")
	dir0, dir1 := t.TempDir(), t.TempDir()
	done := func(s string) bool { return strings.Contains(s, `"event":"done"`) }
	seed := l.Hosts[0].spate("get", torrent, "-o", dir0, "--select", path, "--seed", "forever", "--json")
	seed.line("the event done", done)
	get := l.Hosts[1].spate("get", magnet, "-o", dir1, "--select", path, "--peer", l.Hosts[0].IP+":6881", "--seed", "forever", "--json")
	get.line("the event done", done)
	want, err := io.ReadAll(io.NewSectionReader(inventedData(path), 0, inventedLen(name, path)))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir0, dir1} {
		b, err := os.ReadFile(filepath.Join(dir, name, path))
		if err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s has %d bytes, %v, which differ from the %d of the web seed", path, len(b), err, len(want))
		}
		if list := files(t, dir); strings.Count(strings.Join(list, "\n"), ".txt") != 1 {
			t.Errorf("the download has the files %q, want one", list)
		}
	}
	return peakMemory(t, seed), peakMemory(t, get)
}

// peakMemory returns the most memory in bytes that a running program has taken.
func peakMemory(t *testing.T, p *proc) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("VmHWM: %v", err)
	}
	return kib << 10
}

// TestMillionFiles downloads one file of a torrent of a million files: from a web seed, and
// from a magnet link with the metadata of 36 MB from a peer. Each get takes
// about 740 MB of memory; the limit leaves room for the garbage collector.
func TestMillionFiles(t *testing.T) {
	const name, real, most = "million", 500_007, 1 << 30
	paths := make([]string, 1_000_000)
	for i := range paths {
		paths[i] = fmt.Sprintf("%03d/%03d.txt", i/1000, i%1000)
	}
	torrent := filepath.Join(t.TempDir(), name+".torrent")
	writeFile(t, torrent, invented(t, name, 64<<10, paths, real, "http://10.93.0.1:"+inventedPort+"/"))
	first, second := getOne(t, torrent, name, paths[real])
	t.Logf("%d MB by .torrent, %d MB by magnet link", first/1_000_000, second/1_000_000)
	if first > most || second > most {
		t.Errorf("get took %d MB by .torrent and %d MB by magnet link, want at most %d MB", first/1_000_000, second/1_000_000, most/1_000_000)
	}
}

// TestLargeSizes shows torrents of up to 900 TB, and downloads one small file of each, whose
// piece also contains a part of a large file.
func TestLargeSizes(t *testing.T) {
	for _, c := range []struct {
		size     float64 // bytes
		pieceLen int64   // 0: as create chooses it
		warnings []string
	}{
		{size: 1e9},
		{size: 100e9},
		{size: 1e12},
		{size: 10e12, warnings: []string{"pieces of 64 MiB: some programs refuse more than 16 MiB"}},
		{size: 12e12, pieceLen: 4 << 20, warnings: []string{
			"bytes, but libtorrent (qBittorrent, Deluge) accepts at most 10,000,000", "2,861,023 pieces, but libtorrent (qBittorrent, Deluge) accepts at most 2,097,152; use a larger piece length",
		}},
		{size: 900e12, warnings: []string{"bytes, but libtorrent (qBittorrent, Deluge) accepts at most 10,000,000", "pieces of 512 MiB: some programs refuse more than 16 MiB"}},
	} {
		name := strconv.FormatInt(int64(c.size), 10)
		t.Run(name+" bytes", func(t *testing.T) {
			l := c.pieceLen
			if l == 0 {
				l = maker.PieceLength(int64(c.size), true)
			}
			torrent := filepath.Join(t.TempDir(), name+".torrent")
			b := invented(t, name, l, []string{"a.txt", "b.txt", "large.bin"}, 1, "http://10.93.0.1:"+inventedPort+"/")
			writeFile(t, torrent, b)
			if first, second := getOne(t, torrent, name, "b.txt"); max(first, second) > 1<<30+2*l {
				t.Errorf("get took %d and %d MB", first/1_000_000, second/1_000_000)
			}
			var shown struct {
				TotalLength int64 `json:"total_length"`
				PieceLength int64 `json:"piece_length"`
				Warnings    []string
			}
			if err := json.Unmarshal([]byte(newLAN(t, 1).Hosts[0].run("show", "--json", torrent)), &shown); err != nil {
				t.Fatal(err)
			}
			if shown.TotalLength != int64(c.size)+2*smallLen || shown.PieceLength != l {
				t.Errorf("show printed %d bytes in pieces of %d", shown.TotalLength, shown.PieceLength)
			}
			all := strings.Join(shown.Warnings, "\n")
			for _, w := range c.warnings {
				if !strings.Contains(all, w) {
					t.Errorf("show warned %q, want %q", all, w)
				}
			}
			if len(shown.Warnings) != len(c.warnings) {
				t.Errorf("show printed %d warnings, want %d: %q", len(shown.Warnings), len(c.warnings), all)
			}
		})
	}
}
