package fairpool

import "time"

// Member is a holder of a place of a [Pool]. The caller says with Offer that the
// holder can take something from now on, and with Took that it has; the time between
// counts against it.
type Member[T any] struct {
	// Value is the caller's.
	Value T

	pool    *Pool[T]
	network Network
	at      int // index in Pool.members; -1: it has left

	came    time.Time
	offered time.Time     // since when something is offered; zero: nothing is
	credit  time.Duration // for which the holder may go on taking nothing, at offered
	counted time.Time     // when bytes counted last; zero: never
	counts  bool          // what the holder takes is not taken by buffers alone
	taken   int64         // bytes in all
}

// Offer notes that the holder is offered something, unless it was already.
func (m *Member[T]) Offer(now time.Time) {
	if m.offered.IsZero() {
		m.offered = now
	}
}

// Took notes that the holder has taken n bytes of what it was offered, and is offered
// nothing more.
func (m *Member[T]) Took(now time.Time, n int64) {
	if m.offered.IsZero() {
		return
	}
	took := now.Sub(m.offered)
	m.offered = time.Time{}
	m.taken += n
	if m.counts = m.counts || took >= m.pool.opt.Quick || m.taken >= m.pool.opt.Proof; !m.counts {
		return
	}
	m.credit = max(m.credit-took, -m.pool.opt.Pause)
	if n > 0 {
		m.counted = now
		m.credit = min(m.credit+m.pool.opt.seconds(n), m.pool.opt.Pause)
	}
}

// Move changes the network that the holder counts for.
func (m *Member[T]) Move(network Network) {
	if m.at >= 0 {
		m.pool.count(m.network, -1)
		m.pool.count(network, 1)
	}
	m.network = network
}

// Leave gives the place back. It does nothing for a member that has left already, or
// has made room.
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
	p.barren = barren{}
	m.at = -1
}

// judged returns when the holder loses its protection if it takes nothing, or the zero
// time if it is offered nothing.
func (m *Member[T]) judged() time.Time {
	if m.offered.IsZero() {
		return time.Time{}
	}
	return m.offered.Add(m.credit)
}

// since returns when the holder took something last, or came.
func (m *Member[T]) since() time.Time {
	if m.counted.IsZero() {
		return m.came
	}
	return m.counted
}

// Standing returns what the holder makes of its place.
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
