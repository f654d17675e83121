package torrent

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"spate/maker"
	"spate/metainfo"
)

// makeTree writes a directory with empty, tiny and unaligned files.
func makeTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	rng := rand.NewChaCha8([32]byte{9})
	for name, size := range map[string]int{"a": 300_001, "b/empty": 0, "b/one": 1, "c": 1 << 17, "d/e/f": 77_777} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, size)
		rng.Read(b)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// checkSameFiles checks that each file below want is equal to the one below got.
func checkSameFiles(t *testing.T, want, got string) {
	t.Helper()
	err := filepath.WalkDir(want, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(want, path)
		a, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(got, rel))
		if err != nil || string(a) != string(b) {
			t.Errorf("%s differs or cannot be read (%v)", rel, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// seedTree starts a session that seeds the directory tree, and waits until it has
// checked the data, because a peer that connects earlier retries only after half a
// minute.
func seedTree(t *testing.T, mi *metainfo.MetaInfo, tree string) *Session {
	t.Helper()
	s := testSession(t, Options{})
	tor, err := s.Add(mi, AddOptions{Dir: filepath.Dir(tree), SeedOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := tor.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDownloadOfEveryFormat checks that a directory is downloaded completely as a
// v1, v2 and hybrid torrent, from disk to disk.
func TestDownloadOfEveryFormat(t *testing.T) {
	for _, format := range []metainfo.Format{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			tree := makeTree(t)
			mi, err := maker.Make(context.Background(), tree, maker.Options{Format: format, PieceLength: 32 << 10})
			if err != nil {
				t.Fatal(err)
			}
			seed := seedTree(t, mi, tree)
			get := testSession(t, Options{})
			dir := t.TempDir()
			tor, err := get.Add(mi, AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr()}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := tor.Wait(ctx); err != nil {
				t.Fatalf("the download did not complete: %v: %+v", err, tor.Stats())
			}
			checkSameFiles(t, tree, filepath.Join(dir, "tree"))
			if st := tor.Stats(); st.BytesDone != st.BytesTotal || st.BytesTotal != mi.Info.DataLength() {
				t.Errorf("%d of %d bytes are done, want all %d bytes of the files", st.BytesDone, st.BytesTotal, mi.Info.DataLength())
			}
		})
	}
}

// TestV2FromMagnetLink checks that a v2 torrent is downloaded from its info-hash
// alone: first the metadata, then the piece layers and the data.
func TestV2FromMagnetLink(t *testing.T) {
	t.Parallel()
	tree := makeTree(t)
	mi, err := maker.Make(context.Background(), tree, maker.Options{Format: metainfo.V2, PieceLength: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	seed := seedTree(t, mi, tree)
	get := testSession(t, Options{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	v2, _ := mi.HashV2()
	got, _, err := get.FetchMetadata(ctx, metainfo.Magnet{HashV2: v2}, MetadataOptions{Peers: []netip.AddrPort{seed.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	if got.MissingLayers() == 0 {
		t.Fatal("no piece layers are missing, so that the test checks nothing")
	}
	dir := t.TempDir()
	tor, err := get.Add(got, AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.Wait(ctx); err != nil {
		t.Fatalf("the download did not complete: %v: %+v", err, tor.Stats())
	}
	checkSameFiles(t, tree, filepath.Join(dir, "tree"))
}
