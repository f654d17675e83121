package e2e

import (
	"path/filepath"
	"testing"
)

// TestSwarmOfFive runs scripts/swarm with a small file. It checks how much the origin sends,
// and not the time, because the machine may be busy.
func TestSwarmOfFive(t *testing.T) {
	need(t, "tc")
	h := newLAN(t, 1).Hosts[0]
	script, err := filepath.Abs("../scripts/swarm")
	if err != nil {
		t.Fatal(err)
	}
	p := h.start(script, spateBin, "16", "20")
	if p.wait() != 0 {
		t.Fatalf("scripts/swarm failed:\n%s\n%s", p.out, p.log)
	}
	t.Log(p.out)
}
