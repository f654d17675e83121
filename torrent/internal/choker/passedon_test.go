package choker

import (
	"fmt"
	"testing"
	"time"
)

// passing plays what a seed sees for a minute: in each second it sends a whole piece to each peer,
// and announces tells which other peer then announces the piece of a peer, or false.
func passing(peers, seconds int, announces func(from uint32, second int) (to uint32, ok bool)) (*PassedOn, time.Time) {
	o, now := NewPassedOn(100), time.Unix(1_800_000_000, 0)
	piece := uint32(0)
	for s := range seconds {
		for id := range uint32(peers) {
			o.Sent(id, piece, true, now)
			if to, ok := announces(id, s); ok {
				o.Has(to, piece, now.Add(time.Second))
			}
			piece++
		}
		now = now.Add(time.Second)
	}
	return o, now
}

// TestKeeps checks which peers count as passing on nothing.
func TestKeeps(t *testing.T) {
	next := func(from uint32, _ int) (uint32, bool) { return (from + 1) % 4, true }
	for name, c := range map[string]struct {
		seconds   int
		announces func(uint32, int) (uint32, bool)
		want      string // whether each of four peers keeps its pieces
	}{
		"all pass on":                   {60, next, "false false false false"},
		"peer 0 keeps its pieces":       {60, func(from uint32, s int) (uint32, bool) { return (from + 1) % 4, from != 0 }, "true false false false"},
		"too little is known":           {8, func(from uint32, s int) (uint32, bool) { return 0, false }, "false false false false"},
		"pieces are on their way":       {20, func(from uint32, s int) (uint32, bool) { return 0, false }, "false false false false"},
		"all keep their pieces":         {60, func(from uint32, s int) (uint32, bool) { return 0, false }, "true true true true"},
		"a third is passed on":          {60, func(from uint32, s int) (uint32, bool) { return (from + 1) % 4, s%3 == 0 }, "false false false false"},
		"peer 0 begins to pass on late": {200, func(from uint32, s int) (uint32, bool) { return (from + 1) % 4, from != 0 || s > 60 }, "false false false false"},
		"peer 0 ends to pass on":        {400, func(from uint32, s int) (uint32, bool) { return (from + 1) % 4, from != 0 || s < 60 }, "true false false false"},
		"it announces its own pieces":   {60, func(from uint32, s int) (uint32, bool) { return from, true }, "true true true true"},
		"peer 0 is helped by a peer that gets nothing": {60, func(from uint32, s int) (uint32, bool) {
			if from == 0 {
				return 9, true
			}
			return (from + 1) % 4, true
		}, "true false false false"},
	} {
		o, now := passing(4, c.seconds, c.announces)
		got := fmt.Sprint(o.Keeps(0, now), o.Keeps(1, now), o.Keeps(2, now), o.Keeps(3, now))
		if got != c.want {
			t.Errorf("%s: keeps its pieces: %s, want %s", name, got, c.want)
		}
	}
}

// TestLiarsGainNothing checks that the announcements of a peer count for no more than twice what
// we have sent it, however many peers it helps.
func TestLiarsGainNothing(t *testing.T) {
	o, now := passing(8, 300, func(from uint32, _ int) (uint32, bool) { return 0, from != 0 })
	keeps := 0
	for id := uint32(1); id < 8; id++ {
		if o.Keeps(id, now) {
			keeps++
		}
	}
	if keeps < 5 {
		t.Errorf("a peer makes %d of 7 others look as if they pass on pieces, want at most 2", 7-keeps)
	}
	if p := o.peers[0]; p.vouched > vouchFor*p.sent {
		t.Errorf("the announcements of a peer that got %d bytes count for %d", p.sent, p.vouched)
	}
	o.Leave(0)
	if o.peers[0] != nil || o.Keeps(0, now) {
		t.Error("a peer that left is known")
	}
}

// TestPassedOnIsBounded checks that pieces and peers that left take no memory.
func TestPassedOnIsBounded(t *testing.T) {
	o, now := NewPassedOn(100), time.Unix(1_800_000_000, 0)
	for i := range uint32(2 * maxSole) {
		o.Sent(i%5, i, true, now)
	}
	if len(o.sole) > maxSole {
		t.Errorf("%d pieces are remembered, want at most %d", len(o.sole), maxSole)
	}
	for id := range uint32(5) {
		o.Leave(id)
	}
	if len(o.sole) > 0 || len(o.peers) > 0 {
		t.Errorf("%d pieces and %d peers are remembered after all left", len(o.sole), len(o.peers))
	}
}

// TestPromptPeersAreJudgedSooner checks that a peer that passes on nothing is known after eight
// seconds if its program would pass on pieces at once.
func TestPromptPeersAreJudgedSooner(t *testing.T) {
	t.Parallel()
	o, now := NewPassedOn(100), time.Unix(1_800_000_000, 0)
	o.SetPrompt(0, now)
	for piece := range uint32(2 * promptParts) {
		o.Sent(piece%2, piece, true, now)
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{promptTime - time.Second, "false false"}, {promptTime, "true false"}, {passTime, "true true"}} {
		if got := fmt.Sprint(o.Keeps(0, now.Add(c.after)), o.Keeps(1, now.Add(c.after))); got != c.want {
			t.Errorf("after %v the prompt peer and the other keep their pieces: %s, want %s", c.after, got, c.want)
		}
	}
}

// TestHoldBack checks which peers a full seed does not serve 40 seconds after the time 0.
func TestHoldBack(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1_800_000_000+int64(s), 0) }
	passes, keeps := Peer{Interested: true}, Peer{Interested: true, Keeps: true}
	with := func(p Peer, id uint32, unchoked time.Time) Peer {
		p.ID, p.UnchokedAt = id, unchoked
		return p
	}
	for name, c := range map[string]struct {
		peers []Peer
		want  string
	}{
		"nobody keeps":            {[]Peer{with(passes, 0, at(0)), with(passes, 1, at(0))}, "[]"},
		"all keep":                {[]Peer{with(keeps, 0, at(0)), with(keeps, 70, at(1))}, "[]"},
		"one keeps":               {[]Peer{with(passes, 0, at(0)), with(keeps, 70, at(1))}, "[]"},
		"its turn is over":        {[]Peer{with(passes, 0, at(0)), with(keeps, 70, at(11))}, "[70]"},
		"both turns are over":     {[]Peer{with(passes, 0, at(0)), with(keeps, 70, at(11)), with(keeps, 1, at(21))}, "[70 1]"},
		"the longest wait ends":   {[]Peer{with(passes, 0, at(0)), with(keeps, 70, at(2)), with(keeps, 1, at(1)), with(keeps, 2, at(3))}, "[70 2]"},
		"never unchoked":          {[]Peer{with(passes, 0, at(0)), with(keeps, 70, at(2)), with(keeps, 1, time.Time{})}, "[70]"},
		"others are uninterested": {[]Peer{{ID: 0}, with(keeps, 70, at(2)), with(keeps, 1, at(1))}, "[]"},
	} {
		var got []uint32
		held := HoldBack(c.peers, at(40))
		for _, p := range c.peers {
			if held.Has(p.ID) {
				got = append(got, p.ID)
			}
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v wait, want %s", name, got, c.want)
		}
	}
}

// TestLeaveForgetsOnlyItsOwnPieces checks that the list of a peer contains exactly the pieces that only
// it has, so that Leave need not look at the pieces of other peers.
func TestLeaveForgetsOnlyItsOwnPieces(t *testing.T) {
	o, now := NewPassedOn(1), time.Unix(1_800_000_000, 0)
	for piece := range uint32(100) {
		o.Sent(piece%4, piece, true, now)
	}
	for piece := range uint32(20) { // these are no longer with one peer, or with another one
		o.Sent((piece+1)%4, piece, piece < 10, now)
	}
	for piece := uint32(20); piece < 30; piece++ {
		o.Has(7, piece, now)
	}
	check := func() {
		t.Helper()
		listed := 0
		for id, p := range o.peers {
			for piece := range p.sole {
				if from, ok := o.sole[piece]; !ok || from != id {
					t.Errorf("peer %d lists piece %d, which only peer %d has (%t)", id, piece, from, ok)
				}
				listed++
			}
		}
		if listed != len(o.sole) {
			t.Errorf("%d pieces are in the lists of peers, want %d", listed, len(o.sole))
		}
	}
	check()
	before, own := len(o.sole), len(o.peers[2].sole)
	o.Leave(2)
	check()
	if own == 0 || len(o.sole) != before-own {
		t.Errorf("%d pieces are remembered, want %d without the %d of the peer that left", len(o.sole), before-own, own)
	}
}
