package maker_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"spate/maker"
	"spate/metainfo"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// tool returns the path of a program. If the program is missing, tool skips the test, or
// fails it if the environment variable SPATE_E2E is "require".
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err == nil && len(args) > 0 {
		err = exec.Command(p, args...).Run()
	}
	if what := strings.Join(append([]string{name}, args...), " "); err != nil && os.Getenv("SPATE_E2E") == "require" {
		t.Fatalf("%s is missing", what)
	} else if err != nil {
		t.Skipf("SKIPPED: %s is missing", what)
	}
	return p
}

// sample creates files and a directory for which programs may make different torrents:
// their order, padding, empty files and attributes matter. It returns the paths to make
// torrents of.
func sample(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	for name, n := range map[string]int{
		"tree/a/z": 20_000, "tree/a-b": 16 << 10, "tree/a.c": 33, "tree/D/x": 100_000, "tree/b": 1, "tree/C": 40_000,
		"tree/empty": 0, "tree/z/last": 70_000, "tree/z/zz": 0, "tree/é": 5, "tree/.hidden": 44_444, "tree/.d/x": 3,
		"one/file": 50_000, "single": 123_456, "program": 77_777,
	} {
		p := filepath.Join(dir, name)
		b := []byte(strings.Repeat(name+" ", n/len(name)+1))[:n]
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"tree/a/z", "program"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"tree/link": "a/z", "tree/z/dir": "../a"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	var paths []string
	for _, name := range []string{"tree", "one", "single", "program"} {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// sameHashes makes a torrent of each path with each of the options, and compares it with
// the torrent that the other program writes. It runs the other programs concurrently,
// because they mostly sleep.
func sameHashes(t *testing.T, other func(path, out string) *exec.Cmd, ways ...maker.Options) {
	t.Helper()
	paths, dir := sample(t), t.TempDir()
	cmds, said := make([]*exec.Cmd, len(paths)), make([]bytes.Buffer, len(paths))
	for i, path := range paths {
		cmds[i] = other(path, filepath.Join(dir, strconv.Itoa(i)))
		cmds[i].Stdout, cmds[i].Stderr = &said[i], &said[i]
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, path := range paths {
		if err := cmds[i].Wait(); err != nil {
			t.Errorf("%v failed: %v\n%s", cmds[i], err, &said[i])
			continue
		}
		want, err := metainfo.ReadFile(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			t.Errorf("the torrent of the other program: %v", err)
			continue
		}
		for _, o := range ways {
			compare(t, path, o, want)
		}
	}
}

// compare makes a torrent and compares it with the one that another program made.
func compare(t *testing.T, path string, o maker.Options, want *metainfo.MetaInfo) {
	t.Helper()
	got, err := maker.Make(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.PieceLayers, got.PieceLayers, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s %s: piece layers differ", o.Format, filepath.Base(path))
	}
	if string(got.InfoBytes) != string(want.InfoBytes) {
		a, b := got.InfoBytes, want.InfoBytes
		for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
			a, b = a[1:], b[1:]
		}
		t.Errorf("%s %s differs\ngot  %.200q\nwant %.200q", o.Format, filepath.Base(path), a, b)
	}
}

func TestSameInfoHashAsMktorrent(t *testing.T) {
	t.Parallel()
	mktorrent := tool(t, "mktorrent")
	for _, length := range []int{15, 18} {
		o := maker.Options{Format: metainfo.V1, PieceLength: 1 << length, Like: maker.LikeMktorrent}
		sameHashes(t, func(path, out string) *exec.Cmd {
			return exec.Command(mktorrent, "-l", strconv.Itoa(length), "-o", out, path)
		}, o)
		o.Private, o.Source = true, "mark"
		sameHashes(t, func(path, out string) *exec.Cmd {
			return exec.Command(mktorrent, "-l", strconv.Itoa(length), "-p", "-s", "mark", "-o", out, path)
		}, o)
	}
}

// TestDefaultIsLikeMktorrent checks that without options Make and mktorrent make the same
// v1 torrent of plain files.
func TestDefaultIsLikeMktorrent(t *testing.T) {
	t.Parallel()
	mktorrent := tool(t, "mktorrent")
	sameHashes(t, func(path, out string) *exec.Cmd {
		return exec.Command(mktorrent, "-l", "16", "-o", out, path)
	}, maker.Options{Format: metainfo.V1, PieceLength: 1 << 16, Links: maker.LinksFollow, Hidden: true})
}

func TestSameInfoHashAsTransmission(t *testing.T) {
	t.Parallel()
	create := tool(t, "transmission-create")
	o := maker.Options{Format: metainfo.V1, PieceLength: 32 << 10, Like: maker.LikeTransmission}
	sameHashes(t, func(path, out string) *exec.Cmd {
		return exec.Command(create, "-s", "32", "-o", out, path)
	}, o)
	o.Private = true
	sameHashes(t, func(path, out string) *exec.Cmd {
		return exec.Command(create, "-p", "-t", "http://127.0.0.1/announce", "-s", "32", "-o", out, path)
	}, o)
}

const libtorrentMaker = `
import libtorrent as lt, os, sys
path, length, out, flags = sys.argv[1], int(sys.argv[2]), sys.argv[3], 0
for f in sys.argv[4:]:
    flags |= int(getattr(lt.create_torrent, f))
fs = lt.file_storage()
lt.add_files(fs, path, lambda p: True, flags)
t = lt.create_torrent(fs, length, flags)
lt.set_piece_hashes(t, os.path.dirname(path))
open(out, "wb").write(lt.bencode(t.generate()))
`

func TestSameInfoHashAsLibtorrent(t *testing.T) {
	t.Parallel()
	python := tool(t, "/usr/bin/python3", "-c", "import libtorrent")
	for _, c := range []struct {
		o     maker.Options
		flags []string
	}{
		{maker.Options{Format: metainfo.V1}, []string{"v1_only", "canonical_files"}},
		{maker.Options{Format: metainfo.V2}, []string{"v2_only"}},
		{maker.Options{Format: metainfo.Hybrid}, nil},
		{maker.Options{Format: metainfo.Hybrid, NoTailPadding: true}, []string{"canonical_files_no_tail_padding"}},
	} {
		for _, length := range []int64{16 << 10, 64 << 10} {
			c.o.PieceLength = length
			plain := c.o
			c.o.Like = maker.LikeLibtorrent
			ways := []maker.Options{c.o}
			if c.o.Format != metainfo.V1 { // plain files need no options
				plain.Links, plain.Hidden = maker.LinksFollow, true
				ways = append(ways, plain)
			}
			sameHashes(t, func(path, out string) *exec.Cmd {
				args := []string{"-c", libtorrentMaker, path, strconv.FormatInt(length, 10), out}
				return exec.Command(python, append(args, c.flags...)...)
			}, ways...)
		}
	}
}
