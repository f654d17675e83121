//go:build linux

package cli

import (
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"spate"
)

// TestTrackerTakesOver checks that a second tracker with --reuse-port takes over from the
// first one, answers all announces meanwhile, and has the peers of the first one.
func TestTrackerTakesOver(t *testing.T) {
	state := t.TempDir()
	first := startTracker(t, nil, "--listen", "127.0.0.1:0", "--state", state, "--reuse-port")
	known, other := spate.InfoHash{1}, spate.InfoHash{2}
	c := dialUDP(t, first.addr)
	if _, _, err := c.announce(known, somePeer(1), 7000, 0, 2, often); err != nil {
		t.Fatal(err)
	}
	underLoad(t, first.addr, other, func() {
		startTracker(t, nil, "--listen", first.addr, "--state", state, "--reuse-port")
		if code := first.wait(); code != 0 {
			t.Errorf("the first tracker ended with exit code %d, want 0", code)
		}
	})
	if seeds, _, _ := c.scrape(t, known); seeds != 1 {
		t.Errorf("%d seeders after the takeover, want 1", seeds)
	}
}

// TestTrackerKilled checks a tracker that is killed under load and started again: it has the
// peers that were saved and all completions that it acknowledged, and it accepts the
// connection ids of the first process.
func TestTrackerKilled(t *testing.T) {
	state := t.TempDir()
	p := startTracker(t, nil, "--listen", "127.0.0.1:0", "--state", state)
	saved, hot := spate.InfoHash{1}, spate.InfoHash{2}
	c := dialUDP(t, p.addr)
	const peers = 50
	for i := range uint32(peers) {
		if _, _, err := c.announce(saved, somePeer(i), uint16(3000+i), 1, 2, often); err != nil {
			t.Fatal(err)
		}
	}
	p.end(syscall.SIGTERM) // the tracker saves its peers
	p = startTracker(t, nil, "--listen", p.addr, "--state", state)
	var sent, answered atomic.Uint32
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := uint32(1); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			sent.Add(1)
			c.announce(hot, somePeer(i), uint16(1000+i%60000), 1, 2, 1)
			if _, _, err := c.announce(hot, somePeer(i), uint16(1000+i%60000), 0, 1, 1); err == nil {
				answered.Add(1)
			} else if strings.Contains(err.Error(), "error packet") {
				t.Error(err)
			}
		}
	})
	for answered.Load() < 2000 {
		time.Sleep(time.Millisecond)
	}
	p.end(syscall.SIGKILL)
	close(stop)
	wg.Wait()
	done := answered.Load()
	startTracker(t, nil, "--listen", p.addr, "--state", state)
	_, completed, _ := c.scrape(t, hot) // with the connection id of the first process
	if completed > sent.Load() || completed < done {
		t.Errorf("%d completions after the kill, want at least %d (acknowledged) and at most %d (sent)", completed, done, sent.Load())
	}
	t.Logf("%d completions after the kill, %d acknowledged", completed, done)
	if _, _, leechers := c.scrape(t, saved); leechers != peers {
		t.Errorf("%d peers from the snapshot, want %d", leechers, peers)
	}
}
