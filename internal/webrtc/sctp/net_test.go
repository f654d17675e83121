package sctp

import (
	"crypto/rand"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// wire carries the packets of one side to the other in simulated time.
type wire struct {
	to      *Channel
	delay   time.Duration
	lose    func(packet []byte) bool // nil: none
	late    func() time.Duration     // more delay of a packet; nil: none
	packets int
	lost    int
	lens    []int // of the packets of the last Flush
	queued  [][]byte

	mu    sync.Mutex // guards way
	way   []onWay    // by time
	order sync.Mutex // held while packets arrive
}

func (w *wire) Buffer() []byte { return make([]byte, 0, MaxPacket) }

func (w *wire) Queue(packet []byte) {
	if len(packet) > MaxPacket {
		panic("a packet is too long")
	}
	w.queued = append(w.queued, packet)
}

func (w *wire) Flush() {
	if len(w.queued) == 0 {
		return
	}
	w.lens = w.lens[:0]
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.queued {
		w.packets++
		w.lens = append(w.lens, len(p))
		due := time.Now().Add(w.delay)
		if w.late != nil {
			due = due.Add(w.late())
		}
		if w.lose != nil && w.lose(p) {
			w.lost++
			continue
		}
		at := len(w.way)
		for at > 0 && due.Before(w.way[at-1].due) {
			at--
		}
		w.way = slices.Insert(w.way, at, onWay{due, p})
		time.AfterFunc(time.Until(due), w.arrive)
	}
	w.queued = nil
}

// arrive delivers the packets that are due, in order.
func (w *wire) arrive() {
	w.order.Lock()
	defer w.order.Unlock()
	now := time.Now()
	w.mu.Lock()
	n := 0
	for n < len(w.way) && !now.Before(w.way[n].due) {
		n++
	}
	due := slices.Clone(w.way[:n])
	w.way = slices.Delete(w.way, 0, n)
	w.mu.Unlock()
	if n == 0 {
		return
	}
	for _, p := range due {
		w.to.Receive(p.packet, now)
	}
	w.to.Flush(now)
}

// onWay is a packet that has not arrived.
type onWay struct {
	due    time.Time
	packet []byte
}

// some returns a function that is true for a share of the calls.
func some(share float64, seed uint64) func([]byte) bool {
	rng := mathrand.New(mathrand.NewPCG(seed, 1))
	return func([]byte) bool { return rng.Float64() < share }
}

// delayed returns a function that returns d for a share of the calls, and otherwise 0.
func delayed(share float64, d time.Duration) func() time.Duration {
	odd := some(share, 6)
	return func() time.Duration {
		if odd(nil) {
			return d
		}
		return 0
	}
}

// pair returns both sides of a channel with a way of 10 ms.
func pair() (a, b *Channel, ab, ba *wire) {
	ab, ba = &wire{delay: 10 * time.Millisecond}, &wire{delay: 10 * time.Millisecond}
	a = New(Options{Output: ab, Dial: true, Stream: 1, Port: 5000, PeerPort: 6000, MaxMessage: 256 << 10})
	b = New(Options{Output: ba, Port: 6000, PeerPort: 5000, MaxMessage: 256 << 10})
	ab.to, ba.to = b, a
	return a, b, ab, ba
}

// open opens the channel from both sides.
func open(t testing.TB, a, b *Channel) {
	t.Helper()
	a.Start(time.Now())
	b.Start(time.Now())
	<-a.Opened()
	<-b.Opened()
	if a.Err() != nil || b.Err() != nil {
		t.Fatalf("not open: %v, %v", a.Err(), b.Err())
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// send writes data in parts and returns the error at the end.
func send(c *Channel, data []byte, part int) <-chan error {
	done := make(chan error, 1)
	go func() {
		for at := 0; at < len(data); at += part {
			if _, err := c.Write(data[at:min(at+part, len(data))]); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	return done
}

func receive(c *Channel, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return b, err
}
