package e2e

import (
	"path/filepath"
	"testing"
	"time"
)

// TestSwarmOfFive runs scripts/swarm with a small file. Others run beside it, so
// it is not for exact figures.
func TestSwarmOfFive(t *testing.T) {
	need(t, "tc")
	h := newLAN(t, 1).Hosts[0]
	script, err := filepath.Abs("../scripts/swarm")
	if err != nil {
		t.Fatal(err)
	}
	p := h.start(script, spateBin, "16")
	if p.wait(90*time.Second) != 0 {
		t.Fatalf("%s\n%s", p.out, p.log)
	}
	t.Log(p.out)
}
