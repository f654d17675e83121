package trackerlog

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate"
	"spate/tracker"
)

// observation returns an announce of a peer on a day in May, changed by set.
func observation(day int, peer byte, event tracker.Event, set func(o *tracker.Observation)) *tracker.Observation {
	o := &tracker.Observation{
		Time: time.Date(2026, 5, day, 12, 0, 0, 0, time.UTC), Transport: tracker.UDP,
		Request: &tracker.AnnounceRequest{InfoHash: spate.InfoHash{1}, Event: event, Left: 10},
		Peer:    netip.MustParseAddrPort("203.0.113.77:6881"), User: "ann", Name: "a.iso",
	}
	copy(o.Request.PeerID[:], "-TR4050-")
	o.Request.PeerID[19] = peer
	if set != nil {
		set(o)
	}
	return o
}

// logged writes a log of observations and returns the content of its file.
func logged(t *testing.T, o Options, list ...*tracker.Observation) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "activity.log")
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, x := range list {
		l.Observe(x)
	}
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestObserveNeverWaits checks that entries are dropped and counted when Run does not
// write them.
func TestObserveNeverWaits(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "a.log"), Options{Queue: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 5 {
		l.Observe(observation(1, 1, tracker.EventStarted, nil))
	}
	if dropped, _ := l.Lost(); dropped != 2 {
		t.Errorf("%d dropped", dropped)
	}
}

// TestObserveReusesMemory checks that entries are written into buffers that are reused.
func TestObserveReusesMemory(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "a.log"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := observation(1, 1, tracker.EventStarted, nil)
	round := func() {
		for range 1000 { // several buffers
			l.Observe(o)
		}
		l.flush()
	}
	if n := testing.AllocsPerRun(20, round); n > 1 {
		t.Errorf("%v allocations in 1000 entries", n)
	}
	if dropped, failed := l.Lost(); dropped+failed > 0 {
		t.Errorf("%d dropped, %d failed", dropped, failed)
	}
}
