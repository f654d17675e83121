package e2e

import (
	"html"
	"image"
	"image/color"
	_ "image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// browse runs headless Chromium on the host and returns its standard output.
func (h *host) browse(args ...string) string {
	h.t.Helper()
	need(h.t, "chromium")
	args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"}, args...)
	return h.start("chromium", args...).ok().out.String()
}

// TestPagesInBrowser opens the pages of a publisher in Chromium. It checks their contents
// with and without scripts, and that they are not blank at the sizes of a desktop and a phone.
func TestPagesInBrowser(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	l := newLAN(t, 2)
	tree := smallTree(t, filepath.Join(t.TempDir(), "My <b>tree & söhne"))
	_, r := l.Hosts[0].serve("publish", tree)
	h := l.Hosts[1]
	base, _, _ := strings.Cut(r.PageURL, "/r/")
	const title = "My &lt;b&gt;tree &amp; söhne"

	dom := h.browse("--dump-dom", r.PageURL)
	plain, err := os.ReadFile(h.download(r.PageURL))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		title, "5.0 MB", r.InfoHashV1, r.InfoHashV2, "magnet:?xt=urn:btih:" + r.InfoHashV1, ".torrent", "a.bin", "b.bin", "z last", "spate get ",
	} {
		if !strings.Contains(dom, want) || !strings.Contains(html.UnescapeString(string(plain)), html.UnescapeString(want)) {
			t.Errorf("the page of the release does not contain %q", want)
		}
	}
	if seeds := regexp.MustCompile(`data-is="seeds"[^>]*>(\d+)<`).FindStringSubmatch(dom); seeds == nil || seeds[1] != "1" {
		t.Errorf("seeds on the page: %q, want 1", seeds)
	}
	for _, page := range []string{"/", "/stats"} {
		if dom := h.browse("--dump-dom", base+page); !strings.Contains(dom, title) {
			t.Errorf("%s does not contain the release", page)
		}
	}
	for url, window := range map[string]string{base + "/": "1280,900", r.PageURL: "390,844"} {
		shot := filepath.Join(t.TempDir(), "shot.png")
		h.browse("--window-size="+window, "--screenshot="+shot, url)
		if n := colours(t, shot); n < 20 {
			t.Errorf("%s at %s shows %d colours", url, window, n)
		}
	}
}

// colours returns the number of colours in a picture. A blank picture has one.
func colours(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[color.Color]bool{}
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y += 3 {
		for x := b.Min.X; x < b.Max.X; x += 3 {
			seen[img.At(x, y)] = true
		}
	}
	return len(seen)
}
