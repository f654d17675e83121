package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPublishByDrop drops a file on the graphical client in a browser, which is loaded again in the midst
// of the upload. The upload goes on where it was, the page copies the link of the release, and aria2
// downloads it.
func TestPublishByDrop(t *testing.T) {
	t.Parallel()
	need(t, "aria2c")
	tools := webTools(t)
	d := newDesktop(t)
	link := strings.TrimSpace(d.run(spateBin, "open", "--no-browser", "-q"))
	file := filepath.Join(t.TempDir(), "dropped file.bin")
	noise(t, file, 3_000_000)
	c := exec.Command("node", "clientpublish.mjs", link, file, os.Getenv("SPATE_SHOTS"))
	c.Dir = tools
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var first int64
	var page, torrent string
	for line := range strings.Lines(string(out)) {
		fmt.Sscanf(line, "first %d", &first)
		fmt.Sscanf(line, "link %s", &page)
		fmt.Sscanf(line, "torrent %s", &torrent)
	}
	if first != 1<<20 || !strings.HasSuffix(page, "/r/dropped") {
		t.Errorf("the upload went on at %d, want %d; the link is %q", first, 1<<20, page)
	}
	got := t.TempDir()
	fetch := exec.Command("aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--seed-time=0", "--dir="+got, torrent)
	if out, err := fetch.CombinedOutput(); err != nil {
		t.Fatalf("aria2 of %s: %v\n%s", torrent, err, tail(string(out)))
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(got, filepath.Base(file))); err != nil || !bytes.Equal(b, want) {
		t.Errorf("aria2 downloaded %d bytes: %v", len(b), err)
	}
}
