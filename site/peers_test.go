package site

import (
	"testing"

	"spate"
	"spate/publish"
)

// TestPeersOfTwoSwarms checks that the numbers of a release count a peer once that is in the swarm
// of the hybrid and in that of its v1 twin.
func TestPeersOfTwoSwarms(t *testing.T) {
	rel := &publish.Release{HashV1: spate.InfoHash{1}, HashV2: spate.InfoHashV2{2}, Twin: publish.Twin{Hash: spate.InfoHash{3}}}
	counts := map[spate.InfoHash]Swarm{
		{1}: {Seeders: 3, Leechers: 10, Completed: 5}, {2}: {Seeders: 2, Leechers: 12, Completed: 4}, {3}: {Seeders: 4, Leechers: 7, Completed: 2},
	}
	swarm := func(ih spate.InfoHash) (Swarm, bool) {
		s, ok := counts[ih]
		return s, ok
	}
	common := func(a, b spate.InfoHash) Swarm {
		if a != rel.Twin.Hash || b != rel.HashV1 {
			t.Errorf("the swarms %v and %v are compared", a, b)
		}
		return Swarm{Seeders: 1, Leechers: 3}
	}
	for name, c := range map[string]struct {
		common func(a, b spate.InfoHash) Swarm
		want   Swarm
	}{
		"common peers":         {common, Swarm{Seeders: 3 + 4 - 1, Leechers: 12 + 7 - 3, Completed: 5 + 2}},
		"unknown common peers": {nil, Swarm{Seeders: 3 + 4, Leechers: 12 + 7, Completed: 5 + 2}},
	} {
		if got, known := Peers(rel, swarm, c.common); got != c.want || !known {
			t.Errorf("%s: %+v, %t; want %+v", name, got, known, c.want)
		}
	}
	delete(counts, spate.InfoHash{3})
	if got, known := Peers(rel, swarm, common); got != (Swarm{Seeders: 3, Leechers: 12, Completed: 5}) || !known {
		t.Errorf("without the swarm of the twin: %+v, %t", got, known)
	}
}
