package e2e

import (
	"path/filepath"
	"testing"
)

// TestPagesOfStrangers visits pages of strangers that attack a site on the visitor's network, its
// tracker and the API of its daemon.
func TestPagesOfStrangers(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	l := newLAN(t, 2)
	h := l.Hosts[0]
	dir := t.TempDir()
	noise(t, filepath.Join(dir, "a.iso"), 100_000)
	h.serve("serve", "--watch", dir, "--settle", "10ms", "--api", h.IP+":7070", "--ws-origin", "https://example.org")
	visit := l.Hosts[1].start("node", filepath.Join(tools, "hostile.mjs"), "http://"+h.IP+":6969/", "http://"+h.IP+":7070/")
	if code := visit.wait(); code != 0 {
		t.Errorf("hostile.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
}
