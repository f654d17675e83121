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
		// The pages of releases and the modules of their download may connect to other hosts.
		{"", "nginx.conf", "location \"/r/\" {\n    root \"/srv/my site\";\n    index index.html;\n    charset utf-8;\n    add_header Content-Security-Policy \"" + downloadPolicy + "\";"},
		{"/pub", "nginx.conf", "location \"/pub/de/r/\" {\n    alias \"/srv/my site/de/r/\";"},
		{"/pub", "nginx.conf", "location \"/pub/static/download/\" {\n    alias \"/srv/my site/static/download/\";"},
		{"/pub", "apache.conf", "<Directory \"/srv/my site/de/r\">\n    Header set Content-Security-Policy \"" + downloadPolicy + "\"\n"},
		{"/pub", "apache.conf", "<Directory \"/srv/my site/static/download\">\n    Header set Content-Security-Policy \"" + downloadPolicy + "\"\n"},
		{"/pub", "Caddyfile", "@pages not path /d/* /r/* /static/download/* /de/r/*\n"},
		{"/pub", "Caddyfile", "@releases path /r/* /static/download/* /de/r/*\n\theader @releases Content-Security-Policy \"" + downloadPolicy + "\"\n"},
	} {
		dir := t.TempDir()
		if err := writeSnippets(dir, "/srv/my site", c.prefix, []string{"/de"}); err != nil {
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
