package webrtc

import (
	"io"
	"sync/atomic"
	"testing"
)

// TestLastFlightIsSentAgain checks that the data channel opens if the other side does not get the
// end of the handshake at first: this side answers the repeated end of the other side.
func TestLastFlightIsSentAgain(t *testing.T) {
	t.Parallel()
	offers, answers := newHost(t, true), newHost(t, true)
	var lost atomic.Int32
	answers.filter = func(b []byte) bool { // the side that answers is the client of the handshake
		const changeCipherSpec = 20 // with which the last packet of the server begins
		return b[0] != changeCipherSpec || lost.Add(1) > 2
	}
	a, b := connect(t, offers, answers)
	if lost.Load() < 3 {
		t.Errorf("the last packet of the handshake came %d times", lost.Load())
	}
	go a.Write([]byte("data"))
	got := make([]byte, 4)
	if _, err := io.ReadFull(b, got); err != nil || string(got) != "data" {
		t.Errorf("got %q, %v", got, err)
	}
}
