package swarmtest_test

import (
	"testing"

	"spate/tracker/swarm"
	"spate/tracker/swarm/swarmtest"
)

// Test a store of your own: call Run from a test of its package.
func ExampleRun() {
	test := func(t *testing.T) {
		swarmtest.Run(t, func(t testing.TB, o swarm.Options) swarm.Store {
			table, err := swarm.New(o)
			if err != nil {
				t.Fatal(err)
			}
			return table
		})
	}
	_ = test // func TestStore(t *testing.T) in your package
	// Output:
}
