package webrtc

import (
	"sync"
	"time"
)

// SendState says how far a [Stream] is with what was written to it.
type SendState struct {
	RTT     time.Duration // smoothed round-trip time; 0 before the first measurement
	MinRTT  time.Duration // least value of RTT in the last two to four minutes, as far as SendState was called
	Acked   uint64        // bytes that the other side has acknowledged; never decreases
	Unacked int           // bytes that were written and not acknowledged
	Unsent  int           // bytes of Unacked that were never sent
}

// minRTTFor is the half of the time for which a least round-trip time counts.
const minRTTFor = 2 * time.Minute

// sendState is what a Stream remembers for SendState.
type sendState struct {
	mu      sync.Mutex    // guards the fields below
	least   time.Duration // since since; 0 if there is none
	earlier time.Duration // before since, for minRTTFor at most
	since   time.Time
}

// SendState returns the state of the bytes that were written. It may be called at any time, also
// after Close.
func (s *Stream) SendState() SendState {
	var st SendState
	st.RTT, st.Acked, st.Unacked, st.Unsent = s.ch.Progress()
	m := &s.send
	m.mu.Lock()
	defer m.mu.Unlock()
	if st.RTT > 0 {
		m.measured(time.Now(), st.RTT)
	}
	st.MinRTT = m.least
	if m.earlier > 0 {
		st.MinRTT = min(st.MinRTT, m.earlier)
	}
	return st
}

// measured records a round-trip time.
func (m *sendState) measured(now time.Time, rtt time.Duration) {
	switch age := now.Sub(m.since); {
	case m.least == 0 || age > 2*minRTTFor:
		m.least, m.earlier, m.since = rtt, 0, now
	case age > minRTTFor:
		m.least, m.earlier, m.since = rtt, m.least, now
	default:
		m.least = min(m.least, rtt)
	}
}
