package source

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"spate/internal/fault"
)

// TestFilePath checks the paths of file: URLs and of other arguments.
func TestFilePath(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"a.torrent": "a.torrent", "./file": "./file", "-": "-", "": "", "c:x": "c:x", "http://h/x": "http://h/x", "file": "file",
		"file:///a/b.torrent": "/a/b.torrent", "FILE:///a%20b": "/a b", "file:/a": "/a", "file://localhost/a": "/a", "file://LOCALHOST/a?q#f": "/a",
		"file:///%E2%82%AC": "/€",
	} {
		if got, err := FilePath(arg); err != nil || filepath.ToSlash(got) != want {
			t.Errorf("%q: %q, %v; want %q", arg, got, err, want)
		}
	}
	bad := []string{"file:", "file://", "file:a", "file://localhost", "file:///%zz", "file:///a%00b"}
	if runtime.GOOS != "windows" {
		bad = append(bad, "file://other/a", "file://127.0.0.1/a")
	}
	for _, arg := range bad {
		if got, err := FilePath(arg); fault.CodeOf(err) != fault.Usage || fault.HintOf(err) == "" {
			t.Errorf("%q: %q, %v; want a usage error with a hint", arg, got, err)
		}
	}
}

// TestResolveText checks which files and standard inputs hold a link, and the errors about all
// others.
func TestResolveText(t *testing.T) {
	t.Parallel()
	const hash = "0123456789abcdef0123456789abcdef01234567"
	const link = "magnet:?xt=urn:btih:" + hash
	for in, c := range map[string]struct {
		want string // the magnet link, or the bytes of a torrent
		code fault.Code
	}{
		someTorrent: {someTorrent, 0}, link: {link, 0}, "\ufeff <" + link + ">\r\n\r\n": {link, 0}, strings.ToUpper(hash) + "\n": {link, 0},
		"magnet:?xt=urn:btih:\r\n " + hash: {link, 0},
		link + "\n" + link:                 {"", fault.Usage}, link + "\n\nhttp://127.0.0.1:1/x": {"", fault.Usage},
		"": {"", fault.BadData}, "hello": {"hello", 0}, "de": {"de", 0}, "\x00\xff": {"\x00\xff", 0},
		strings.Repeat(" ", maxLink) + link: {strings.Repeat(" ", maxLink) + link, 0},
		"http://127.0.0.1:1/x":              {"", fault.Network}, "<metalink>": {"", fault.BadData}, "file:///etc/passwd": {"file:///etc/passwd", 0},
	} {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, arg := range []string{"-", path} {
			r := &Resolver{Stdin: strings.NewReader(in)}
			src, err := r.Resolve(t.Context(), arg)
			if in == "" && arg != "-" {
				c.want, c.code = "", 0 // Parse returns the error
			}
			if fault.CodeOf(err) != c.code || err == nil && src.Magnet+string(src.Torrent) != c.want {
				t.Errorf("%s with %.70q: %+v, %v; want %.70q, code %d", arg, in, src, err, c.want, c.code)
			}
		}
	}
}

// TestResolveTypingErrors checks the codes of arguments that are no SOURCE.
func TestResolveTypingErrors(t *testing.T) {
	t.Parallel()
	for arg, code := range map[string]fault.Code{
		"absent.torrent": fault.NotFound, "1234": fault.NotFound, "/absent/x": fault.NotFound, "ftp://h/x": fault.Usage, "udp://h:1": fault.Usage,
		"ed2k://h/x": fault.Usage, "file:///absent": fault.NotFound, "file://": fault.Usage, "http://": fault.Usage, "http:x": fault.Usage, "https:///x": fault.Usage,
		strings.Repeat("a", 39): fault.Usage, strings.Repeat("F", 41): fault.Usage, strings.Repeat("0", 63): fault.Usage, strings.Repeat("0", 66): fault.Usage,
		t.TempDir(): fault.Usage, "http://h/a\n\nhttp://h/b": fault.Usage,
	} {
		src, err := (&Resolver{Stdin: strings.NewReader("")}).Resolve(t.Context(), arg)
		if fault.CodeOf(err) != code || fault.HintOf(err) == "" && code == fault.Usage && !strings.HasPrefix(arg, "http") {
			t.Errorf("%q: %+v, %v: code %d, want %d", arg, src, err, fault.CodeOf(err), code)
		}
	}
}

// TestSchemeless checks which arguments are URLs without a scheme, and which scheme is tried first.
func TestSchemeless(t *testing.T) {
	for arg, want := range map[string]string{
		"localhost:6969/r/x":      "http://localhost:6969/r/x",
		"[2001:db8::1]:6969/r/x":  "http://[2001:db8::1]:6969/r/x",
		"files.example.org/r/x":   "https://files.example.org/r/x",
		"example.org:443/t/x":     "https://example.org:443/t/x",
		"dir/debian.iso.torrent":  "",
		"example.org/debian.iso":  "",
		"example.org:6969":        "",
		"example.org:6969/":       "",
		"../dir:1/r/debian.iso":   "",
		"magnet:?xt=urn:btih:1/r": "",
	} {
		got := ""
		if urls := schemeless(arg); urls != nil {
			got = urls[0]
		}
		if got != want {
			t.Errorf("%s is first tried as %q, want %q", arg, got, want)
		}
	}
}
