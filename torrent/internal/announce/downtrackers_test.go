package announce

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"spate/tracker"
)

var errRefusedConnection = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// TestTrackerDown checks that a tracker that is down gets far fewer announces than there are
// swarms, and that every swarm is announced to it soon after it is back.
func TestTrackerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const swarms = 200
		c := &fakeClient{took: time.Millisecond, err: errRefusedConnection}
		s := run(t, c)
		for i := range swarms {
			s.Start([]*Swarm{newSwarm(&fakeTorrent{}, byte(i))}, 0, 0)
		}
		time.Sleep(time.Minute)
		if n := len(c.take()); n > 10+3*cap(s.tokens) {
			t.Errorf("%d announces in a minute", n)
		}
		c.set(nil)
		time.Sleep(5 * time.Minute)
		if n := len(c.take()); n != swarms {
			t.Errorf("%d announces in five minutes after the tracker was back, want %d", n, swarms)
		}
	})
}

// gatedCaller returns a caller with a gate of its own whose announces are not delayed.
func gatedCaller(c Client) *caller {
	s := NewScheduler(Options{Client: c, MaxAnnounces: 1})
	return &caller{s: s, swarm: newSwarm(&fakeTorrent{}, 1), gate: &gate{}, urgent: true}
}

// TestGateStaysOpen checks that errors which do not mean that the tracker is unreachable
// never close the gate.
func TestGateStaysOpen(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx context.Context
		err error
	}{
		"the tracker refused":       {t.Context(), &tracker.FailureError{Reason: "unregistered torrent"}},
		"another error":             {t.Context(), errors.New("status 500")},
		"the announce was canceled": {canceled, &net.OpError{Op: "dial", Net: "tcp", Err: context.Canceled}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := gatedCaller(&fakeClient{err: c.err})
			for i := range 2 * closeAfter {
				if _, err := one.Announce(c.ctx, "http://tracker.example/announce", &tracker.AnnounceRequest{}); !errors.Is(err, c.err) {
					t.Fatalf("announce %d: %v", i, err)
				}
			}
		})
	}
}

// TestGateCloses checks after how many failures the gate closes, and that one announce at
// a time is let through afterwards.
func TestGateCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &fakeClient{err: errRefusedConnection}
		one := gatedCaller(client)
		announce := func() (reached bool, err error) {
			_, err = one.Announce(t.Context(), "http://tracker.example/announce", &tracker.AnnounceRequest{})
			return len(client.take()) == 1, err
		}
		for i := range closeAfter {
			if reached, err := announce(); !reached || err != errRefusedConnection {
				t.Fatalf("announce %d: reached %v, %v", i, reached, err)
			}
			time.Sleep(time.Millisecond)
		}
		var down *downError
		if reached, err := announce(); reached || !errors.As(err, &down) || !errors.Is(err, errRefusedConnection) {
			t.Fatalf("the gate is open: reached %v, %v", reached, err)
		}
		time.Sleep(firstRetry)
		client.set(nil)
		if reached, err := announce(); !reached || err != nil {
			t.Fatalf("the gate lets nothing through: reached %v, %v", reached, err)
		}
		if reached, err := announce(); !reached || err != nil {
			t.Fatalf("the gate is closed after an answer: reached %v, %v", reached, err)
		}
	})
}
