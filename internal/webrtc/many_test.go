package webrtc

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// crowd is an endpoint and the peers that connect to it.
type crowd struct {
	origin *host
	peers  []*host
}

func newCrowd(t testing.TB, peers int) *crowd {
	c := &crowd{origin: newHost(t, true)}
	for range peers {
		c.peers = append(c.peers, newHost(t, false))
	}
	return c
}

// connect connects all peers, some at a time, and returns the streams of both sides.
func (c *crowd) connect(t testing.TB) (streams []*Stream) {
	const together = 16
	var mu sync.Mutex
	opened := make(chan struct{}, 2*len(c.peers))
	add := func(s *Stream) {
		mu.Lock()
		streams = append(streams, s)
		mu.Unlock()
		opened <- struct{}{}
	}
	for at := 0; at < len(c.peers); at += together {
		batch := c.peers[at:min(at+together, len(c.peers))]
		for _, p := range batch {
			o, err := p.Offer(add)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := c.origin.Answer(o.Description(), add)
			if err == nil {
				err = o.Accept(answer)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for range 2 * len(batch) {
			select {
			case <-opened:
			case <-time.After(patience):
				t.Fatalf("no data channel: %+v", c.origin.Stats())
			}
		}
	}
	return streams
}

// heap returns the bytes of the heap that are in use.
func heap() int {
	runtime.GC()
	runtime.GC() // the first one only moves what a sync.Pool holds to where the second one frees it
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// settled waits until the number of goroutines is n or less, and returns it.
func settled(n int) int {
	for range 1000 {
		if runtime.NumGoroutine() <= n {
			break
		}
		time.Sleep(10 * time.Millisecond) // the runtime reports no end of a goroutine
	}
	return runtime.NumGoroutine()
}

// TestIdleConnectionsAreSmall checks that an open connection has no goroutine, takes little memory,
// and leaves nothing behind. It does not run beside other tests of the package, because it counts the
// memory and the goroutines of the process.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const peers, most = 60, 60 << 10 // bytes of a connection at one side
	c := newCrowd(t, peers)
	before, goroutines := heap(), runtime.NumGoroutine()
	streams := c.connect(t)
	if n := settled(goroutines); n > goroutines {
		t.Errorf("%d connections have %d goroutines", peers, n-goroutines)
	}
	each := (heap() - before) / len(streams)
	t.Logf("%d bytes for each side of a connection", each)
	if each > most {
		t.Errorf("each side of an idle connection takes %d bytes, want at most %d", each, most)
	}
	for _, s := range streams {
		s.Close()
	}
	e := c.origin.Endpoint
	await(t, func() bool { // until nothing is left of them; a packet may still be on its way
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.byUfrag)+len(e.byAddr)+len(e.touched)+e.pending+e.open+e.handshakes.Len() == 0
	})
}
