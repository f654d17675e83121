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

// restart begins anew at a count that is not to be taken for a rate.
func (m *meter) restart(now time.Time, count int64) { *m = meter{last: count, at: now} }

// current returns the rate for display: before the first update has shown one,
// what came since.
func (m *meter) current(now time.Time, count int64) float64 {
	if m.rate > 0 || m.at.IsZero() {
		return m.rate
	}
	return float64(count-m.last) / max(0.1, now.Sub(m.at).Seconds())
}

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

// restartMetersLocked makes the rates begin with what has passed so far.
func (t *Torrent) restartMetersLocked() {
	now := time.Now()
	t.upMeter.restart(now, t.uploaded.Load())
	t.downMeter.restart(now, t.downloaded.Load())
}
