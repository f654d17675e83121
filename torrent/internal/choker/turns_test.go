package choker

import (
	"net/netip"
	"testing"
	"time"
)

// askerAt returns an asker.
func askerAt(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 32)
}

// TestAskersTakeTurns checks that askers that always want more get the same amount through one slot,
// in turns of several ranges.
func TestAskersTakeTurns(t *testing.T) {
	var k Turns
	const askers, size = 3, 4 << 20
	got, order := [askers]int64{}, []int{}
	now := start
	for range 180 { // each asks again after five seconds, or at once after an answer
		for i := range askers {
			for k.Take(now, askerAt(i), 1) {
				k.Done(now, askerAt(i), size)
				got[i] += size
				order = append(order, i)
				if len(order)%6 == 0 {
					break // another one may ask meanwhile
				}
			}
		}
		now = now.Add(5 * time.Second)
	}
	for i, n := range got {
		if n < got[0]*8/10 || n > got[0]*12/10 {
			t.Errorf("asker %d got %d bytes, and asker 0 %d", i, n, got[0])
		}
	}
	if changes := countChanges(order); changes > len(order)/2 {
		t.Errorf("%d changes in %d ranges: an asker does not get several ranges in a row", changes, len(order))
	}
}

func countChanges(order []int) (n int) {
	for i := 1; i < len(order); i++ {
		if order[i] != order[i-1] {
			n++
		}
	}
	return n
}

// TestAskerWithoutOthersIsNotInterrupted checks that the only asker always gets its range.
func TestAskerWithoutOthersIsNotInterrupted(t *testing.T) {
	var k Turns
	for i := range 20 {
		if !k.Take(start, askerAt(0), 1) {
			t.Fatalf("range %d was refused", i)
		}
		k.Done(start, askerAt(0), 4<<20)
	}
}

// TestSlotsBoundRanges checks that no more ranges than slots are sent at once, and that an asker
// that went away does not keep its place.
func TestSlotsBoundRanges(t *testing.T) {
	var k Turns
	now := start
	for i := range 5 {
		if ok := k.Take(now, askerAt(i), 2); ok != (i < 2) {
			t.Errorf("asker %d: %v", i, ok)
		}
	}
	if k.Running() != 2 {
		t.Errorf("%d ranges are sent, want 2", k.Running())
	}
	k.Done(now, askerAt(0), 1<<20)
	if k.Take(now, askerAt(9), 2) {
		t.Error("an asker went before those that wait")
	}
	if !k.Take(now, askerAt(2), 2) {
		t.Error("the asker that waited longest was refused")
	}
	k.Done(now, askerAt(2), 1<<20)
	now = now.Add(waitsFor + time.Second)
	if !k.Take(now, askerAt(10), 2) {
		t.Error("askers that went away keep others waiting")
	}
}

// TestAskersAreBounded checks that addresses that ask cost a bounded amount of memory, and are
// forgotten.
func TestAskersAreBounded(t *testing.T) {
	var k Turns
	for i := range 2 * maxAskers {
		k.Take(start, askerAt(i), 1)
	}
	if len(k.askers) > maxAskers {
		t.Errorf("%d askers are remembered, want at most %d", len(k.askers), maxAskers)
	}
	k.Done(start, askerAt(0), 1)
	k.Take(start.Add(time.Minute), askerAt(0), 1)
	if len(k.askers) != 1 {
		t.Errorf("%d askers are remembered after a minute, want 1", len(k.askers))
	}
}
