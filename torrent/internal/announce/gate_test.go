package torrent

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"spate/tracker"
)

// deadTracker refuses connections while it is down.
type deadTracker struct {
	down  atomic.Bool
	asked atomic.Int64
}

func (d *deadTracker) Announce(_ context.Context, _ string, _ *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	d.asked.Add(1)
	time.Sleep(time.Millisecond)
	if d.down.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return &tracker.AnnounceResponse{Interval: time.Hour}, nil
}

// A tracker that is down is not asked once for each torrent, and hears of all of
// them soon after it is back.
func TestTrackerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const torrents = 200
		d := &deadTracker{}
		d.down.Store(true)
		w := newSleepyWorld(t, Options{Announcer: d})
		for i := range torrents {
			l, _ := noiseFile(t, 1000+i)
			l.mi.AnnounceList = [][]string{{"http://tracker.example/announce"}}
			if _, err := w.seed.AddDormant(l); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if n := d.asked.Load(); n > 10+3*int64(w.seed.opt.MaxAnnounces) {
			t.Errorf("asked %d times in a minute", n)
		}
		d.down.Store(false)
		d.asked.Store(0)
		time.Sleep(5 * time.Minute)
		if n := d.asked.Load(); n != torrents {
			t.Errorf("asked %d times in five minutes after it was back", n)
		}
	})
}

// An answer, if only a refusal, keeps the gate open; so do announces that were
// given up.
func TestTrackerGateOpen(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx context.Context
		err error
	}{
		"refused":  {t.Context(), &tracker.FailureError{Reason: "unregistered torrent"}},
		"other":    {t.Context(), errors.New("status 500")},
		"given up": {ctx, &net.OpError{Op: "dial", Net: "tcp", Err: context.Canceled}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := trackerGate{next: failing{c.err}}
			for i := range 2 * gateAfter {
				if _, err := g.Announce(c.ctx, "http://tracker.example/announce", &tracker.AnnounceRequest{}); err != c.err {
					t.Fatalf("announce %d: %v", i, err)
				}
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Announce(context.Context, string, *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	return nil, f.err
}
