package portmap

import (
	"slices"
	"testing"
)

// TestPermanentMappingsAreBounded checks that a router cannot make the record of permanent mappings
// grow without end, and that the newest ones stay in it.
func TestPermanentMappingsAreBounded(t *testing.T) {
	t.Parallel()
	var kept []Permanent
	m, err := New(Options{Keep: func(list []Permanent) { kept = list }})
	if err != nil {
		t.Fatal(err)
	}
	const n = 10 * maxPermanent
	var last Permanent
	for i := range n {
		last = Permanent{Protocol: TCP, External: uint16(i + 1), Internal: 7}
		m.setPermanent(last, true)
	}
	if len(kept) != maxPermanent || !slices.Contains(kept, last) {
		t.Errorf("%d of %d mappings are remembered, want the last %d", len(kept), n, maxPermanent)
	}
	m.setPermanent(last, false)
	if slices.Contains(kept, last) {
		t.Error("a mapping that was removed is remembered")
	}
}
