package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSnippetsQuoteTheDecodedPath checks the paths in the configurations of web servers.
func TestSnippetsQuoteTheDecodedPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ prefix, file, want string }{
		{"", "nginx.conf", "location \"/\" {\n    root \"/srv/my site\";"},
		{"", "Caddyfile", "handle_path \"/*\" {\n\troot * \"/srv/my site\"\n"},
		{"", "apache.conf", "Alias \"/\" \"/srv/my site/\"\n<Directory \"/srv/my site\">"},
		{"/my files(x)", "nginx.conf", "location \"/my files(x)/\" {\n    alias \"/srv/my site/\";"},
		{"/my files(x)", "nginx.conf", "location \"/my files(x)/d/\" {\n    alias \"/srv/my site/d/\";"},
		{"/my files(x)", "Caddyfile", `handle_path "/my files(x)/*" {`},
		{"/my files(x)", "apache.conf", `Alias "/my files(x)/" "/srv/my site/"`},
		{`/a"b\c`, "nginx.conf", `location "/a\"b\\c/" {`},
		{`/a"b\c`, "apache.conf", `Alias "/a\"b\\c/" `},
		{`/a"b\c`, "Caddyfile", `handle_path "/a\"b\c/*" {`},
		{"/50%", "nginx.conf", `location "/50%/" {`},
		{"/50%", "Caddyfile", `handle_path "/50%25/*" {`},
	} {
		dir := t.TempDir()
		if err := writeSnippets(dir, "/srv/my site", c.prefix); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, exportMark, c.file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(got), c.want) {
			t.Errorf("%s for the prefix %q lacks %s:\n%s", c.file, c.prefix, c.want, got)
		}
	}
}
