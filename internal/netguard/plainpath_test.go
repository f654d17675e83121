package netguard

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

// TestPlainPath checks that PlainPath accepts ordinary paths, and refuses paths that some
// servers interpret as other paths.
func TestPlainPath(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		"", "/", "/announce", "/announce/", "/announce/0123456789abcdef", "/a.b/..c/d..", "/announce/a=b,c+d:e@f!$&'()*~", "/announce//x", "/.well-known/x",
	} {
		if !PlainPath(p) {
			t.Errorf("%q is not plain, want plain", p)
		}
	}
	for _, p := range []string{
		"announce", "..", "/.", "/..", "/...", "/announce/..", "/announce/../admin", "/announce/./x", "/announce/.../admin",
		"/announce/%2e%2e/admin", "/announce/%2E%2E/admin", "/announce/.%2e/admin", "/announce/%2e./admin",
		"/announce/%252e%252e/admin", "/announce/%25252e%25252e/admin", "/announce%2f..%2fadmin", "/announce/..%2fadmin", "/announce%2Fadmin",
		`/announce\..\admin`, `/announce/..\admin`, "/announce/%5c../admin", "/announce/..%5Cadmin",
		"/announce;/../admin", "/announce/..;/admin", "/announce/..;a=b/admin", "/announce;jsessionid=1", "/announce/%3b/admin",
		"/announce/%00", "/announce/\x00", "/announce/..\t/admin", "/announce/ ../admin", "/announce/%09../admin", "/announce/%0d%0a",
		"/announce/．．/admin", "/announce/%ef%bc%8e%ef%bc%8e/admin", "/announce/%c0%ae%c0%ae/admin", "/announce/\xc0\xae/admin", "/announce/‥/admin",
		"/announce?x", "/announce#x",
	} {
		if PlainPath(p) {
			t.Errorf("%q is plain, want not plain", p)
		}
	}
}

// FuzzPlainPath checks that lenient servers also interpret each plain path below /announce
// as one below /announce.
func FuzzPlainPath(f *testing.F) {
	for _, s := range []string{"/announce", "/announce/x", "/announce/../x", "/announce/%2e%2e/x", "/announce/..;/x", `/announce/..\x`, "/announce//x", "/announce/%252e./"} {
		f.Add(s)
	}
	below := func(p string) bool { return p == "/announce" || strings.HasPrefix(p, "/announce/") }
	f.Fuzz(func(t *testing.T, p string) {
		if !PlainPath(p) || !below(p) {
			return
		}
		if u, err := url.Parse("http://127.0.0.1" + p); err != nil || u.EscapedPath() != p || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q is not the path of a URL: %v, %v", p, u, err)
		}
		read := p
		for range 4 {
			read = strings.ReplaceAll(strings.ToLower(read), `\`, "/")
			segments := strings.Split(read, "/")
			for i, s := range segments {
				s, _, _ = strings.Cut(s, ";")
				segments[i] = strings.TrimSpace(s)
			}
			read = path.Clean(strings.Join(segments, "/"))
			if !below(read) {
				t.Fatalf("a server may interpret %q as %q", p, read)
			}
			decoded, err := url.PathUnescape(read)
			if err != nil {
				break
			}
			read = decoded
		}
	})
}
