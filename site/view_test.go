package site

import (
	"strings"
	"sync/atomic"
	"testing"

	"spate"
)

// TestView checks that images, videos, music and text are shown on pages and at /v/ with a policy that
// allows no scripts, and that nothing else is.
func TestView(t *testing.T) {
	t.Parallel()
	var direct atomic.Int32
	f := newFixture(t, Options{Direct: func(spate.InfoHash) { direct.Add(1) }})
	for name, want := range map[string]string{
		"a.png": `<img src="/v/a.png"`, "b.MP4": `<video src="/v/b.MP4" controls preload="none"`, "c.flac": `<audio src="/v/c.flac" controls preload="none"`,
		"d.txt": `<iframe src="/v/d.txt" sandbox=""`, "e.html": "", "f.svg": "", "g.pdf": "", "h.js": "", "i.xml": "", "j": "", "k.png.exe": "",
	} {
		f.release(t, name, 10)
		page := body(t, f.get("GET", "/r/"+name))
		checkNoActiveContent(t, page)
		if want == "" && strings.Contains(page, "/v/") || !strings.Contains(page, want) {
			t.Errorf("the page of %s does not contain %q:\n%s", name, want, page)
		}
		resp := f.get("GET", "/v/"+name)
		if want == "" {
			if resp.StatusCode != 404 {
				t.Errorf("/v/%s gave %s, want 404", name, resp.Status)
			}
			continue
		}
		h := resp.Header
		policy := h.Get("Content-Security-Policy")
		if resp.StatusCode != 200 || h.Get("Content-Disposition") != "inline" || !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.HasSuffix(policy, "; sandbox") ||
			strings.Contains(policy, "script") || strings.Contains(policy, "allow") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "SAMEORIGIN" ||
			strings.Contains(h.Get("Content-Type"), "html") || strings.Contains(h.Get("Content-Type"), "svg") {
			t.Errorf("/v/%s gave %s with %v", name, resp.Status, h)
		}
		if got := f.get("GET", "/v/"+name, "Range", "bytes=3-5"); got.StatusCode != 206 || len(body(t, got)) != 3 {
			t.Errorf("a range of /v/%s gave %s", name, got.Status)
		}
		if got := f.get("GET", "/d/"+name).Header; got.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(got.Get("Content-Disposition"), "attachment") {
			t.Errorf("/d/%s has the headers %v", name, got)
		}
	}
	if n := direct.Load(); n != 4 {
		t.Errorf("%d downloads were counted, want 4: those of /d/", n)
	}
	f.release(t, "large.png", maxViewImage+1)
	if page := body(t, f.get("GET", "/r/large.png")); strings.Contains(page, "/v/") {
		t.Error("a page loads a large picture")
	}
	f.tree(t, "tree", "sub/a.txt", "sub/b.bin")
	if page := body(t, f.get("GET", "/r/tree/files?dir=sub")); !strings.Contains(page, `<a class="view" href="/v/tree/sub/a.txt">View`) || strings.Contains(page, "/v/tree/sub/b.bin") {
		t.Errorf("the page of a folder does not have one link to view a file:\n%s", page)
	}
	for _, path := range []string{"/v/tree", "/v/tree/sub", "/v/tree/.pad/5", "/v/none"} {
		if resp := f.get("GET", path); resp.StatusCode == 200 {
			t.Errorf("%s gave %s", path, resp.Status)
		}
	}
}
