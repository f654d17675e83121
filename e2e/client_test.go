package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestClientAsAPerson uses the graphical client of a daemon in a browser: it adds a magnet link with two of
// five files, watches them come, opens the first one meanwhile, sets a limit, pauses and removes the torrent.
func TestClientAsAPerson(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	l := newLAN(t, 2)
	course := filepath.Join(t.TempDir(), "course")
	if err := os.Mkdir(course, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		noise(t, filepath.Join(course, "part "+strconv.Itoa(i+1)+".mkv"), 6_000_000)
	}
	_, release := l.Hosts[0].serve("publish", course, "--up", "30k") // it is not complete before the visit ends
	state, downloads := t.TempDir(), t.TempDir()
	l.Hosts[1].serve("serve", "--state", state, "--api", "127.0.0.1:7070", "--download-dir", downloads)
	open := l.Hosts[1].spate("open", "--no-browser", "--json", "--state", state)
	var link struct {
		URL string `json:"url"`
	}
	if code := open.wait(); code != 0 || json.Unmarshal([]byte(open.out.String()), &link) != nil || link.URL == "" {
		t.Fatalf("spate open prints %q\n%s", open.out.String(), open.log.String())
	}
	visit := l.Hosts[1].start("node", filepath.Join(tools, "client.mjs"), link.URL, release.Magnet, os.Getenv("SPATE_SHOTS"))
	if code := visit.wait(); code != 0 {
		t.Errorf("client.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
	if left, err := filepath.Glob(filepath.Join(downloads, "*")); err != nil || len(left) > 0 {
		t.Errorf("after the removal, the folder for downloads has %q (%v)", strings.Join(left, " "), err)
	}
}
