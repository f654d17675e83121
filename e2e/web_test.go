package e2e

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// webTools installs playwright-core and axe-core with npm, and returns the directory to run
// the scripts in.
func webTools(t *testing.T) string {
	t.Helper()
	need(t, "node", "npm", "chromium")
	dir := t.TempDir()
	for _, f := range []string{"package.json", "package-lock.json", "click.mjs", "client.mjs", "clientattacks.mjs", "clientpublish.mjs", "download.mjs", "firefox.mjs", "firefoxdownload.mjs", "hostile.mjs", "interrupted.mjs", "media.mjs", "ranges.mjs"} {
		b, err := os.ReadFile(filepath.Join("web", f))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, f), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		missing(t, "playwright-core or axe-core, whose installation by npm failed ("+tail(string(out))+"),")
	}
	return dir
}

// TestPagesByClicks clicks through the pages in a browser, and checks their accessibility with
// axe-core.
func TestPagesByClicks(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	l := newLAN(t, 2)
	live, trees := t.TempDir(), t.TempDir()
	noise(t, filepath.Join(live, "system.iso"), 3_000_000)
	notes := "# What is new\n\n- Boots from **USB sticks**\n- See the [handbook](https://www.example.org/)\n\n| machine | tested |\n| --- | --- |\n| T42 | yes |\n"
	if err := os.WriteFile(filepath.Join(live, "system.iso.md"), []byte(notes), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		noise(t, filepath.Join(live, fmt.Sprintf("old %d.iso", i)), 10_000)
	}
	noise(t, filepath.Join(live, `<b>"q" & söhne <img src=x onerror=alert(1)>.iso`), 10_000)
	many := filepath.Join(trees, "tree of many")
	if err := os.Mkdir(many, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if err := os.WriteFile(filepath.Join(many, fmt.Sprintf("file %03d", i)), []byte{byte(i)}, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mixed := filepath.Join(trees, "mixed")
	if err := os.MkdirAll(filepath.Join(mixed, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		noise(t, filepath.Join(mixed, "data", fmt.Sprintf("part %02d", i)), 100)
	}
	for i, at := range []string{filepath.Join(live, "picture.png"), filepath.Join(mixed, "docs", "deep", "picture.png")} {
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 320, 100+i))); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{filepath.Join(live, "Read me (first).txt"), filepath.Join(mixed, "docs", "about.txt")} {
		if err := os.WriteFile(at, []byte("Hello from "+at+"\n<script>document.title = 'owned'</script>\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var editor []string
	for i, variant := range []string{"linux-amd64", "macos-universal", "windows-amd64"} {
		editor = append(editor, filepath.Join(t.TempDir(), "editor-"+variant+".zip"))
		noise(t, editor[i], 50_000+int64(i))
	}
	key := filepath.Join(t.TempDir(), "site.key")
	command(t, spateBin, "keys", "new", key)
	state := filepath.Join(t.TempDir(), "state")
	p, r := l.Hosts[0].serve("serve", "--watch", "Live="+live, "--watch", "Trees="+trees, "--settle", "100ms", "--sign", key, "--title", "Example files", "--state", state)
	eventually(t, "everything is published", func() bool { return strings.Count(p.out.String(), `"event":"published"`) >= 12 })
	l.Hosts[0].run(append([]string{"publish", "--state", state, "--release", "Editor"}, editor...)...)

	base := "http://" + l.Hosts[0].IP + ":" + r.HTTPAddr[strings.LastIndexByte(r.HTTPAddr, ':')+1:]
	visit := l.Hosts[1].start("node", filepath.Join(tools, "click.mjs"), base, os.Getenv("SPATE_SHOTS"))
	if code := visit.wait(); code != 0 {
		t.Errorf("click.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
}
