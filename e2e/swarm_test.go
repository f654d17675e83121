package e2e

import (
	"path/filepath"
	"testing"
)

// TestSwarmOfFive runs scripts/swarm with a small file. The machine may be busy with
// other things, so the time that it takes does not count; what the origin sends does.
func TestSwarmOfFive(t *testing.T) {
	need(t, "tc")
	h := newLAN(t, 1).Hosts[0]
	script, err := filepath.Abs("../scripts/swarm")
	if err != nil {
		t.Fatal(err)
	}
	p := h.start(script, spateBin, "16", "20")
	if p.wait() != 0 {
		t.Fatalf("%s\n%s", p.out, p.log)
	}
	t.Log(p.out)
}
