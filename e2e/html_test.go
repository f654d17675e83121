package e2e

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// newerHTML matches HTML that tidy 5 does not support: groups in description lists,
// aria-current, and lazily loaded images. The test removes it first.
var newerHTML = regexp.MustCompile(`<div[^>]*>(<dt)|(</dd>)</div>| aria-current="[a-z]+"| loading="lazy"`)

// TestValidHTML checks that tidy reports no errors in any kind of page.
func TestValidHTML(t *testing.T) {
	t.Parallel()
	need(t, "tidy", "curl")
	h := newLAN(t, 1).Hosts[0]
	watched, key := t.TempDir(), filepath.Join(t.TempDir(), "site.key")
	command(t, spateBin, "keys", "new", key)
	noise(t, filepath.Join(watched, `<b>"q" & söhne.iso`), 100_000)
	writeFile(t, filepath.Join(watched, `<b>"q" & söhne.iso.md`), []byte("# New\n\n- *this* <script>\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"))
	smallTree(t, filepath.Join(watched, "tree"))
	p, r := h.serve("serve", "--watch", "A group="+watched, "--settle", "100ms", "--sign", key)
	eventually(t, "both are published", func() bool { return strings.Count(p.out.String(), `"event":"published"`) >= 2 })
	base := strings.TrimSuffix(r.PageURL, "/")
	for _, path := range []string{"/", "/?q=tree", "/?group=A+group", "/r/tree", "/r/tree/files", "/r/%3Cb%3E%22q%22%20&%20s%C3%B6hne.iso", "/r/nothing", "/stats", "/stats?past=week"} {
		page := h.start("curl", "-sS", "-H", "Accept: text/html", base+path).ok().out.String()
		if !strings.HasPrefix(strings.ToLower(page), "<!doctype html>") {
			t.Errorf("%s is not an HTML page: %.100q", path, page)
		}
		c := exec.Command("tidy", "-quiet", "-errors", "--drop-empty-elements", "no")
		c.Stdin = strings.NewReader(newerHTML.ReplaceAllString(page, "$1$2"))
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("tidy: %s: %v\n%s", path, err, out)
		}
	}
}
