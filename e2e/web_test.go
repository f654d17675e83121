package e2e

import (
	"fmt"
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
	for _, f := range []string{"package.json", "package-lock.json", "click.mjs", "download.mjs"} {
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
	key := filepath.Join(t.TempDir(), "site.key")
	command(t, spateBin, "keys", "new", key)
	p, r := l.Hosts[0].serve("serve", "--watch", "Live="+live, "--watch", "Trees="+trees, "--settle", "100ms", "--sign", key, "--title", "Example files")
	eventually(t, "everything is published", func() bool { return strings.Count(p.out.String(), `"event":"published"`) >= 9 })

	base := "http://" + l.Hosts[0].IP + ":" + r.HTTPAddr[strings.LastIndexByte(r.HTTPAddr, ':')+1:]
	visit := l.Hosts[1].start("node", filepath.Join(tools, "click.mjs"), base, os.Getenv("SPATE_SHOTS"))
	if code := visit.wait(); code != 0 {
		t.Errorf("click.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
}
