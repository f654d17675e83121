package choker

import (
	"net/netip"
	"time"
)

// Numbers of Turns.
const (
	turnBytes   = 16 << 20         // bytes after which the next asker gets the slot
	waitsFor    = 20 * time.Second // how long a refused asker keeps its place without asking again
	maxAskers   = 256              // askers that are remembered; others are refused while there are as many
	maxParallel = 4                // ranges that are sent to one asker at the same time
)

// Turns decides which askers get ranges of a torrent over HTTP, where an asker comes, gets one range
// in an answer, and comes again. An asker is an address, or a network that counts as one. While more
// askers come than there are slots, each gets some ranges in a row and then waits behind the others.
// A Turns is a plain data structure without a clock or a lock. The zero value is ready to use.
type Turns struct {
	askers  map[netip.Prefix]*asker
	running int
}

// asker is an asker of the last seconds.
type asker struct {
	running int       // ranges that are sent to it now
	sent    int64     // bytes sent in its turn
	asked   time.Time // when it last asked or was sent something
	waits   time.Time // since when it waits; zero if it does not
}

// Running returns the number of ranges that are sent now.
func (t *Turns) Running() int { return t.running }

// Take reports whether an asker gets a range now, of which slots may be sent at the same time. The
// caller then calls Done once. If Take returns false, the asker waits for its turn, and should ask
// again within a few seconds.
func (t *Turns) Take(now time.Time, who netip.Prefix, slots int) bool {
	t.forget(now)
	a := t.askers[who]
	if a == nil {
		if len(t.askers) >= maxAskers {
			return false
		}
		if t.askers == nil {
			t.askers = map[netip.Prefix]*asker{}
		}
		a = &asker{}
		t.askers[who] = a
	}
	a.asked = now
	ahead := 0
	if inTurn := a.running == 0 && a.sent > 0 && a.sent < turnBytes && a.waits.IsZero(); !inTurn {
		for _, o := range t.askers {
			if o != a && o.running == 0 && !o.waits.IsZero() && (a.waits.IsZero() || o.waits.Before(a.waits)) {
				ahead++
			}
		}
	}
	if t.running+ahead >= slots || a.running >= maxParallel {
		if a.running == 0 && a.waits.IsZero() {
			a.waits, a.sent = now, 0
		}
		return false
	}
	if a.sent >= turnBytes {
		a.sent = 0
	}
	a.waits = time.Time{}
	a.running++
	t.running++
	return true
}

// Done ends a range of which sent bytes were sent.
func (t *Turns) Done(now time.Time, who netip.Prefix, sent int64) {
	t.running--
	if a := t.askers[who]; a != nil {
		a.running--
		a.sent += sent
		a.asked = now
	}
}

// forget removes the askers that have not asked for some time.
func (t *Turns) forget(now time.Time) {
	for who, a := range t.askers {
		if a.running == 0 && now.Sub(a.asked) > waitsFor {
			delete(t.askers, who)
		}
	}
}
