package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestClientLibrariesOfMediaManagers controls a daemon with two client libraries for Transmission's RPC.
func TestClientLibrariesOfMediaManagers(t *testing.T) {
	t.Parallel()
	need(t, "node", "npm")
	tools := t.TempDir()
	for _, f := range []string{"package.json", "package-lock.json", "clients.mjs"} {
		b, err := os.ReadFile(filepath.Join("rpc", f))
		if err == nil {
			err = os.WriteFile(filepath.Join(tools, f), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	c.Dir = tools
	if out, err := c.CombinedOutput(); err != nil {
		missing(t, "@ctrl/transmission or transmission-promise, whose installation by npm failed ("+tail(string(out))+"),")
	}
	h := newLAN(t, 1).Hosts[0]
	dir, state := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(tools, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	noise(t, filepath.Join(tools, "d", "one"), 100_000)
	noise(t, filepath.Join(tools, "d", "two"), 100_000)
	torrent := filepath.Join(tools, "d.torrent")
	h.run("create", filepath.Join(tools, "d"), "-o", torrent)
	h.serve("serve", "--state", state, "--download-dir", dir, "--transmission-rpc", "127.0.0.1:9091")
	token := strings.TrimSpace(h.run("serve", "token", "add", "node", "--state", state, "--quiet"))
	p := h.start("node", filepath.Join(tools, "clients.mjs"), "9091", token, torrent, dir)
	p.ok()
	if out := p.out.String(); !strings.Contains(out, "all calls have the promised result") {
		t.Errorf("the clients say %s", out)
	}
}
