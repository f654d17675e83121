package torrentfile

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spate/internal/folder"
	"spate/maker"
)

// TestV2HashesBesideTheTorrent checks that the v2 hashes in the file beside a .torrent are found by
// its path and in its directory, even if the name of the file is cut, and that no others are used.
func TestV2HashesBesideTheTorrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.WriteFile(data, bytes.Repeat([]byte("data"), 20_000), 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := maker.Make(t.Context(), data, maker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := folder.Open(dir, folder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	hashes := m.V2Hashes.Append(nil)
	for name, c := range map[string]struct {
		hashes []byte
		found  bool
	}{
		"a.torrent": {hashes, true}, strings.Repeat("n", 247) + ".torrent": {hashes, true},
		"none.torrent": {}, "short.torrent": {hashes[1:], false}, "long.torrent": {append(hashes[:len(hashes):len(hashes)], 0), false},
	} {
		path := filepath.Join(dir, name)
		if c.hashes != nil {
			if err := os.WriteFile(V2HashesPath(path), c.hashes, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		byPath, byName, has := *m, *m, *m
		byPath.V2Hashes, byName.V2Hashes = nil, nil
		AddV2Hashes(nil, path, &byPath)
		AddV2Hashes(in, name, &byName)
		AddV2Hashes(nil, path, &has)
		if (byPath.V2Hashes != nil) != c.found || (byName.V2Hashes != nil) != c.found {
			t.Errorf("%.9s: the v2 hashes are found by the path: %t, in the directory: %t", name, byPath.V2Hashes != nil, byName.V2Hashes != nil)
		}
		if has.V2Hashes != m.V2Hashes {
			t.Errorf("%.9s: the v2 hashes in the torrent were replaced", name)
		}
	}
}
