package trackerserver

import (
	"testing"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

func allowed(s *Server, ih spate.InfoHash) bool {
	_, ok := s.Note(ih)
	return ok
}

// TestAllowWithFullStore checks that Allow fails if the store cannot protect another swarm.
func TestAllowWithFullStore(t *testing.T) {
	s, err := New(newTable(t, swarm.Options{Shards: 1, MaxSwarms: 1}), Options{OnlyAllowed: true})
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	for n := range 10 {
		if err := s.Allow(spate.InfoHash{byte(n)}, tracker.Note{}); err != nil {
			failed = err
		}
	}
	if failed == nil {
		t.Error("ten protected swarms in a table of one")
	}
}
