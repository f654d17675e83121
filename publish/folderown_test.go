package publish

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestFolderRefusesOwnFiles checks that no entry is published to which this program itself
// writes, under whatever name, and that the log does not repeat the reason.
func TestFolderRefusesOwnFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		own     string // the path that the program writes to
		data    string // a file at or below that path
		prepare func(h *folderFixture) error
		refused string
		want    map[string]string
	}{
		{"a file", "log", "log", nil, "log", map[string]string{"a~1": "1"}},
		{"a file in a directory", "dir/sub/log", "dir/sub/log", nil, "dir", map[string]string{"a~1": "1"}},
		{"a directory", "dir", "dir/x", nil, "dir", map[string]string{"a~1": "1"}},
		{"a directory in a directory", "dir/state", "dir/x", func(h *folderFixture) error { return os.MkdirAll(filepath.Join(h.in, "dir", "state"), 0o777) }, "dir", map[string]string{"a~1": "1"}},
		{"a hard link", "../log", "../log", func(h *folderFixture) error {
			return os.Link(filepath.Join(h.in, "..", "log"), filepath.Join(h.in, "linked"))
		}, "linked", map[string]string{"a~1": "1"}},
		{"a file outside", "../log", "../log", nil, "", map[string]string{"a~1": "1"}},
	} {
		for _, written := range []bool{false, true} { // whether the file seems to be incomplete
			name := c.name
			if written {
				name += " that is being written"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := newFolderFixture(t, 0)
				h.write("a", "1")
				own := filepath.Join(h.in, filepath.FromSlash(c.own))
				h.write(c.data, "2")
				if c.prepare != nil {
					if err := c.prepare(h); err != nil {
						t.Skip(err)
					}
				}
				if written {
					late := time.Now().Add(2 * time.Hour)
					if err := os.Chtimes(own, late, late); err != nil {
						t.Fatal(err)
					}
				}
				h.folder.opt.Written = func() []fs.FileInfo {
					info, err := os.Stat(own)
					if err != nil {
						t.Fatal(err)
					}
					return []fs.FileInfo{info}
				}
				h.update()
				h.expect(c.want)
				refused := h.folder.Status().Refused
				if c.refused != "" && refused[c.refused] == "" || c.refused == "" && len(refused) > 0 {
					t.Errorf("refused are %v, want %q", refused, c.refused)
				}
			})
		}
	}
}
