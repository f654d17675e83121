package torrent

import "time"

// meter computes a rate from a growing count of bytes, smoothed over a few seconds.
type meter struct {
	last int64     // the count at the last update
	at   time.Time // when the last update was; zero before the first
	rate float64   // bytes a second
}

// meterWeight is the weight of the last second in the rate.
const meterWeight = 0.35

// restart resets the rate and starts counting from count.
func (m *meter) restart(now time.Time, count int64) { *m = meter{last: count, at: now} }

// current returns the rate for display. Before the first update it is the average since
// restart.
func (m *meter) current(now time.Time, count int64) float64 {
	if m.rate > 0 || m.at.IsZero() {
		return m.rate
	}
	return float64(count-m.last) / max(0.1, now.Sub(m.at).Seconds())
}

// update computes the rate from the count at now. It should be called about once a
// second.
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

// restartMetersLocked resets the rates of the torrent.
func (t *Torrent) restartMetersLocked() {
	now := time.Now()
	t.rates.up.restart(now, t.count.uploaded.Load())
	t.rates.down.restart(now, t.count.downloaded.Load())
}
