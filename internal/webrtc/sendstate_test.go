package webrtc

import (
	"io"
	"testing"
	"time"
)

// TestSendStateCountsWhatArrives checks that a stream reports what the other side has acknowledged,
// what it has not, and the round-trip time.
func TestSendStateCountsWhatArrives(t *testing.T) {
	t.Parallel()
	a, b := connect(t, newHost(t, true), newHost(t, true))
	if st := a.SendState(); st.Acked != 0 || st.Unacked > 100 { // the message that opens the channel
		t.Errorf("before a write: %+v", st)
	}
	const n = 1 << 20
	go a.Write(make([]byte, n))
	if _, err := io.CopyN(io.Discard, b, n); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return a.SendState().Acked == n })
	if st := a.SendState(); st.Unacked != 0 || st.Unsent != 0 || st.RTT <= 0 || st.MinRTT <= 0 || st.MinRTT > st.RTT {
		t.Errorf("after all has arrived: %+v", st)
	}
	a.SetWriteDeadline(time.Unix(1, 0))
	a.Write(make([]byte, n))
	await(t, func() bool { st := a.SendState(); return st.Acked-n <= n && st.Unacked == 0 })
	a.Close()
	if st := a.SendState(); st.Acked < n {
		t.Errorf("after Close: %+v", st)
	}
}

// TestLeastRoundTripTimeIsForgotten checks for how long a round-trip time counts as the least one.
func TestLeastRoundTripTimeIsForgotten(t *testing.T) {
	t.Parallel()
	var m sendState
	now := time.Unix(1e9, 0)
	m.measured(now, 5)
	m.measured(now.Add(minRTTFor), 9)
	if m.least != 5 || m.earlier != 0 {
		t.Errorf("%v, earlier %v", m.least, m.earlier)
	}
	m.measured(now.Add(minRTTFor+1), 9)
	if m.least != 9 || m.earlier != 5 {
		t.Errorf("%v, earlier %v", m.least, m.earlier)
	}
	m.measured(now.Add(2*minRTTFor+2), 8)
	if m.least != 8 || m.earlier != 9 {
		t.Errorf("%v, earlier %v", m.least, m.earlier)
	}
	m.measured(now.Add(9*minRTTFor), 7)
	if m.least != 7 || m.earlier != 0 {
		t.Errorf("%v, earlier %v", m.least, m.earlier)
	}
}
