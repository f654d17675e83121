package fairpool

import "time"

// Member is a holder of a slot of a [Pool]. The caller calls Offer when it has data for the
// holder, and Took when the holder has taken data. The time between the two reduces the
// holder's credit.
type Member[T any] struct {
	// Value is the value of the caller.
	Value T

	pool    *Pool[T]
	network Network
	at      int // index in Pool.members; -1 if the member has left

	came    time.Time
	offered time.Time     // time of the current offer; zero if there is none
	credit  time.Duration // how long the holder may take nothing, at the time of the offer
	counted time.Time     // time when bytes last counted; zero if none did
	counts  bool          // the holder has proved that it reads, so its bytes count
	taken   int64         // all bytes taken
}

// Offer records that the caller offers data to the holder, unless an offer is open.
func (m *Member[T]) Offer(now time.Time) {
	if m.offered.IsZero() {
		m.offered = now
	}
}

// Took records that the holder has taken n bytes. The offer ends until the next call of
// Offer.
func (m *Member[T]) Took(now time.Time, n int64) {
	if m.offered.IsZero() {
		return
	}
	took := now.Sub(m.offered)
	m.offered = time.Time{}
	m.taken += n
	m.counts = m.counts || took >= m.pool.opt.Quick || m.taken >= m.pool.opt.Proof
	if !m.counts {
		return
	}
	m.credit = max(m.credit-took, -m.pool.opt.Pause)
	if n > 0 {
		m.counted = now
		m.credit = min(m.credit+m.pool.opt.seconds(n), m.pool.opt.Pause)
	}
}

// Move changes the network of the holder.
func (m *Member[T]) Move(network Network) {
	if m.at >= 0 {
		m.pool.count(m.network, -1)
		m.pool.count(network, 1)
	}
	m.network = network
}

// Leave frees the slot. It does nothing if the member has left or was evicted.
func (m *Member[T]) Leave(now time.Time) {
	if m.at < 0 {
		return
	}
	p := m.pool
	if p.opt.Grace > 0 && m.counted.IsZero() && m.Standing(now) == Silent {
		p.marks.add(now, m.network)
	}
	last := len(p.members) - 1
	p.members[m.at] = p.members[last]
	p.members[m.at].at = m.at
	p.members[last] = nil
	p.members = p.members[:last]
	p.count(m.network, -1)
	p.failed = failedSearch{}
	m.at = -1
}

// protectedUntil returns the time when the holder's credit ends if it takes nothing, or the
// zero time if it is offered nothing.
func (m *Member[T]) protectedUntil() time.Time {
	if m.offered.IsZero() {
		return time.Time{}
	}
	return m.offered.Add(m.credit)
}

// since returns the time when the holder last took data. If it has taken none, since
// returns the time when it entered.
func (m *Member[T]) since() time.Time {
	if m.counted.IsZero() {
		return m.came
	}
	return m.counted
}

// Standing returns the rating of the holder.
func (m *Member[T]) Standing(now time.Time) Standing {
	credit := m.credit
	if !m.offered.IsZero() {
		credit -= now.Sub(m.offered)
	}
	switch never := m.counted.IsZero(); {
	case credit > 0 && never && m.taken < m.pool.opt.Proof && m.pool.marks.has(now, m.network):
		return Suspect
	case credit > 0:
		return Good
	case never || now.Sub(m.counted) > silentAfter:
		return Silent
	}
	return Slow
}
