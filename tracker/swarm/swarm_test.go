package swarm_test

import (
	"testing"

	"pgregory.net/rapid"

	"spate/tracker/swarm"
	"spate/tracker/swarm/swarmtest"
)

func open(t testing.TB, o swarm.Options) *swarm.Table {
	t.Helper()
	tab, err := swarm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tab.Close() })
	return tab
}

func TestRules(t *testing.T) {
	swarmtest.Run(t, func(t testing.TB, o swarm.Options) swarm.Store { return open(t, o) })
}

// TestProperty compares the table with a simple model.
func TestProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		swarmtest.Property(r, func(o swarm.Options) swarm.Store {
			tab, err := swarm.New(o)
			if err != nil {
				r.Fatal(err)
			}
			r.Cleanup(func() { tab.Close() })
			return tab
		})
	})
}
