package signature

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDamagedRecords checks that a damaged record of keys or releases is an error that names
// the file, and that the file stays as it was.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(string) error{
		"known keys":    func(p string) error { _, err := OpenKnown(p); return err },
		"seen releases": func(p string) error { _, err := OpenSeen(p); return err },
	} {
		for damage, content := range map[string]string{"empty": "\x00", "zeros": strings.Repeat("\x00", 500), "garbage": "garbage\x00\n", "a cut comment": "# The k", "a link": "->", "cut": "https://site.example\n", "a directory": ""} {
			path := filepath.Join(t.TempDir(), "record")
			var err error
			switch content {
			case "":
				err = os.Mkdir(path, 0o700)
			case "->":
				err = os.Symlink("missing", path)
			case "\x00":
				err = os.WriteFile(path, nil, 0o600)
			default:
				err = os.WriteFile(path, []byte(content), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := open(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %s: the error is %v, want one that names %s", name, damage, err, path)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("%s, %s: %v", name, damage, err)
			}
		}
	}
}
