package torrent_test

import (
	"math"
	"time"
)

// averageTime is an average of durations and of their deviation.
type averageTime struct {
	n               int
	mean, deviation float64 // seconds
}

func (a *averageTime) add(d time.Duration) {
	s := d.Seconds()
	off := math.Abs(a.mean - s)
	a.n = min(a.n+1, ltRequestTimeSamples)
	a.mean += (s - a.mean) / float64(a.n)
	if a.n > 1 {
		a.deviation += (off - a.deviation) / float64(a.n-1)
	}
}

// timeout returns the time after which a request has taken too long, in whole seconds.
func (a *averageTime) timeout() time.Duration {
	var s float64
	switch a.n {
	case 0:
		return ltRequestTimeout
	case 1:
		s = a.mean * 1.2
	default:
		s = a.mean + 4*a.deviation
	}
	return min(max(2*time.Second, time.Duration(math.Ceil(s))*time.Second), ltRequestTimeout)
}

// history counts events of the last minute.
type history []time.Time

func (h *history) add(now time.Time) { *h = append(*h, now) }

func (h *history) count(now time.Time) int {
	for len(*h) > 0 && now.Sub((*h)[0]) > trHistory*time.Second {
		*h = (*h)[1:]
	}
	return len(*h)
}

// windowRate is the rate of the last two seconds.
type windowRate struct {
	totals [trRateSlots]int64 // total at the start of each slot
	slot   int64              // number of the newest slot
	value  float64
}

// rate returns the rate in bytes a second; total is the number of bytes until now.
func (w *windowRate) rate(now time.Time, total int64) float64 {
	slot := now.UnixNano() / int64(trRateSlot)
	if slot == w.slot {
		return w.value
	}
	for i := max(w.slot+1, slot-trRateSlots+1); i <= slot; i++ {
		w.totals[i%trRateSlots] = total
	}
	w.slot = slot
	w.value = float64(total-w.totals[(slot+1)%trRateSlots]) / (trRateSlots - 1) / trRateSlot.Seconds()
	return w.value
}

// slottedRate is a rate over the last ten seconds, counted in slots of a second.
type slottedRate struct {
	slots []rateSlot
	total int64
}

type rateSlot struct {
	at time.Time
	n  int64
}

// update counts the bytes up to total.
func (s *slottedRate) update(now time.Time, total int64) {
	n := total - s.total
	s.total = total
	switch last := len(s.slots) - 1; {
	case n == 0:
	case last >= 0 && now.Sub(s.slots[last].at) < time.Second:
		s.slots[last].n += n
	default:
		s.slots = append(s.slots, rateSlot{now, n})
	}
}

// rate returns the rate in bytes a second.
func (s *slottedRate) rate(now time.Time) float64 {
	for len(s.slots) > 0 && now.Sub(s.slots[0].at) > a2RateWindow {
		s.slots = s.slots[1:]
	}
	n := int64(0)
	for _, slot := range s.slots {
		n += slot.n
	}
	if n == 0 {
		return 0
	}
	return float64(n) / max(now.Sub(s.slots[0].at).Seconds(), 0.001)
}
