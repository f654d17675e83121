package trackerclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// only returns the only tracker of a client.
func only(t *testing.T, c *Client) *wsTracker {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sockets) != 1 {
		t.Fatalf("the client has %d trackers", len(c.sockets))
	}
	for _, one := range c.sockets {
		return one
	}
	panic("unreachable")
}

// failsWS announces and returns the error.
func failsWS(t *testing.T, ctx context.Context, c *Client, url string, req *tracker.AnnounceRequest) error {
	t.Helper()
	_, err := c.AnnounceSignals(ctx, url, req, &madeSignals{})
	if err == nil {
		t.Fatal("the announce succeeded")
	}
	return err
}

// TestRefusedSwarmsAreNotRepeated checks that a new connection announces neither a swarm that the
// tracker refused at once, nor one that it refused later.
func TestRefusedSwarmsAreNotRepeated(t *testing.T) {
	t.Parallel()
	s, c := newWSServer(t), newWSClient(t)
	c.wsRetry = time.Millisecond
	refusal := wire.WSReply{Failure: "no", RetryIn: 60, Complete: tracker.Unknown, Incomplete: tracker.Unknown, Downloaded: tracker.Unknown, Takers: tracker.Unknown}
	for n := range byte(3) {
		wait := announceWS(t, c, s.url, wsRequest(n, 0), &madeSignals{})
		m := s.next(t)
		m.say(counted(0))
		wait()
	}
	for n := byte(1); n <= 3; n++ { // 3 was never accepted
		out := make(chan error, 1)
		go func() { out <- failsWS(t, t.Context(), c, s.url, wsRequest(n, 0)) }()
		m := s.next(t)
		refusal.Never = n == 2
		m.say(refusal)
		var failure *tracker.FailureError
		if err := <-out; !errors.As(err, &failure) || failure.Never != refusal.Never || !failure.Never && failure.RetryIn != time.Hour {
			t.Fatalf("a refusal is %v", err)
		}
	}
	tr := only(t, c)
	tr.mu.Lock()
	if again := tr.repeatsLocked(); len(tr.swarms) != 2 || !slices.Equal(again, []spate.InfoHash{{0}}) {
		t.Errorf("%d swarms are kept, %v are announced again", len(tr.swarms), again)
	}
	tr.mu.Unlock()
	s.dies <- struct{}{}
	if m := s.next(t); m.InfoHash != (spate.InfoHash{0}) {
		t.Errorf("the new connection announces %v", m.InfoHash)
	}
}

// TestDeadTrackersLeaveRoom checks that trackers that cannot be reached do not use up the connections.
func TestDeadTrackersLeaveRoom(t *testing.T) {
	t.Parallel()
	s, c := newWSServer(t), newWSClient(t)
	c.wsRetry = time.Hour
	for n := range maxSockets {
		failsWS(t, t.Context(), c, fmt.Sprint(s.url, "/dead", n), wsRequest(1, 5))
	}
	if len(c.sockets) != maxSockets {
		t.Fatalf("there are %d trackers", len(c.sockets))
	}
	wait := announceWS(t, c, s.url, wsRequest(1, 5), &madeSignals{})
	m := s.next(t)
	m.say(counted(0))
	wait()
	if len(c.sockets) != maxSockets {
		t.Errorf("there are %d trackers", len(c.sockets))
	}
}

// TestTrackersThatHangUpAreAskedRarely checks that a tracker that takes connections and closes them is
// asked as rarely as one that does not answer, and counts as such.
func TestTrackersThatHangUpAreAskedRarely(t *testing.T) {
	t.Parallel()
	s, c := newWSServer(t), newWSClient(t)
	c.wsRetry = time.Millisecond
	const n = 5
	for range n {
		var silence *SilenceError
		if err := failsWS(t, t.Context(), c, s.url+"/closes", wsRequest(1, 5)); !errors.As(err, &silence) {
			t.Errorf("the error is %v", err)
		}
	}
	tr := only(t, c)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.failures != n {
		t.Errorf("%d failures in a row, want %d", tr.failures, n)
	}
	for failures, want := range map[int]time.Duration{0: 0, 1: wsFirstRetry, 2: 2 * wsFirstRetry, 50: wsLastRetry} {
		if got := retryPause(wsFirstRetry, failures); got != want {
			t.Errorf("after %d failures: %v, want %v", failures, got, want)
		}
	}
}

// TestLateReplyIsNotTakenForAnother checks that the reply to an announce that was given up is not
// taken for that of the next announce.
func TestLateReplyIsNotTakenForAnother(t *testing.T) {
	t.Parallel()
	s, c := newWSServer(t), newWSClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	given := make(chan error, 1)
	go func() { given <- failsWS(t, ctx, c, s.url, wsRequest(1, 0)) }()
	first := s.next(t)
	cancel()
	<-given
	wait := announceWS(t, c, s.url, wsRequest(1, 0), &madeSignals{})
	second := s.next(t)
	late := counted(0)
	late.Complete = 77
	first.say(late)
	second.say(counted(0))
	if resp := wait(); resp.Complete != 1 {
		t.Errorf("the response is %+v", resp)
	}
}

// TestLostReplyEndsConnection checks that a reply that does not come in time does not make later
// announces wait for theirs.
func TestLostReplyEndsConnection(t *testing.T) {
	t.Parallel()
	s, c := newWSServer(t), newWSClient(t)
	c.wsRetry, c.wsSilence = time.Millisecond, 0
	ctx, cancel := context.WithCancel(t.Context())
	given := make(chan error, 1)
	go func() { given <- failsWS(t, ctx, c, s.url, wsRequest(1, 0)) }()
	s.next(t) // its reply is lost
	cancel()
	<-given
	for range 2 {
		var resp *tracker.AnnounceResponse
		for resp == nil { // the first one may meet the end of the connection
			out := make(chan *tracker.AnnounceResponse, 1)
			go func() {
				resp, _ := c.AnnounceSignals(t.Context(), s.url, wsRequest(1, 0), &madeSignals{})
				out <- resp
			}()
			select {
			case m := <-s.got:
				m.say(counted(0))
				resp = <-out
			case resp = <-out:
			}
		}
	}
}

// TestStopWithdrawsWaitingAnnounce checks that "stopped" ends an announce that waits for a connection,
// so that it is not sent later.
func TestStopWithdrawsWaitingAnnounce(t *testing.T) {
	t.Parallel()
	s, c := newWSServer(t), newWSClient(t)
	c.wsRetry = time.Hour
	url := s.url + "/dead"
	failsWS(t, t.Context(), c, url, wsRequest(1, 5))
	tr := only(t, c)
	call := &wsCall{req: *wsRequest(1, 5), done: make(chan struct{})}
	tr.mu.Lock()
	tr.enqueueLocked(call) // the tracker is tried again in an hour
	tr.mu.Unlock()
	stopped := wsRequest(1, 5)
	stopped.Event = tracker.EventStopped
	if _, err := c.AnnounceSignals(t.Context(), url, stopped, nil); err != nil {
		t.Error(err)
	}
	select {
	case <-call.done:
		if !errors.Is(call.err, errSwarmLeft) {
			t.Errorf("the waiting announce ended with %v", call.err)
		}
	default:
		t.Error("the announce still waits")
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.queue)+len(tr.swarms) > 0 {
		t.Errorf("%d announces wait, %d swarms are kept", len(tr.queue), len(tr.swarms))
	}
}

// TestAbandonedSwarmsAreLeft checks that the tracker is told "stopped" for a swarm that is not
// announced any more.
func TestAbandonedSwarmsAreLeft(t *testing.T) {
	t.Parallel()
	s, c := newWSServer(t), newWSClient(t)
	wait := announceWS(t, c, s.url, wsRequest(1, 5), &madeSignals{})
	m := s.next(t)
	m.say(counted(0))
	wait()
	tr := only(t, c)
	tr.leaveAbandoned(time.Now().Add(wsAbandoned - time.Minute))
	tr.leaveAbandoned(time.Now().Add(wsAbandoned + time.Minute))
	if m := s.next(t); m.Event != tracker.EventStopped || m.InfoHash != (spate.InfoHash{1}) {
		t.Errorf("got %+v", m.WSRequest)
	}
}
