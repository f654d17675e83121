package torrent

import "time"

// meter turns a growing count of bytes into a rate, smoothed over a few seconds.
type meter struct {
	last int64
	at   time.Time
	rate float64 // bytes a second
}

// meterWeight is the share of the newest second in the rate.
const meterWeight = 0.35

// update takes the count as it stands at now. It is meant to be called about
// once a second.
func (m *meter) update(now time.Time, count int64) {
	if m.at.IsZero() {
		m.at, m.last = now, count
		return
	}
	dt := now.Sub(m.at).Seconds()
	if dt < 0.2 {
		return
	}
	fresh := float64(count-m.last) / dt
	m.at, m.last = now, count
	if m.rate == 0 {
		m.rate = fresh
		return
	}
	w := min(1, meterWeight*dt)
	m.rate += w * (fresh - m.rate)
	if m.rate < 1 {
		m.rate = 0
	}
}
