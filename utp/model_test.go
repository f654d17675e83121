package utp

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// parcel is a packet on its way.
type parcel struct {
	data []byte
	to   int // the side that receives it
}

// world is two machines, the packets between them, and the model: the bytes that each side wrote
// and read.
type world struct {
	now     time.Duration
	sides   [2]*machine
	network []parcel
	wrote   [2][]byte
	read    [2][]byte
}

func newWorld(t *rapid.T) *world {
	var o Options
	if err := o.set(); err != nil {
		t.Fatal(err)
	}
	o.ReceiveWindow = rapid.SampledFrom([]int{3000, 20_000, 1 << 20}).Draw(t, "window")
	// Sequence numbers near the end wrap during the test.
	seq := rapid.SampledFrom([]uint16{0, 65_530, 32_760, 1}).Draw(t, "seq")
	w := &world{now: time.Second}
	w.sides[0] = newDialer(&o, w.now, 65_535, seq, maxMTU4)
	w.sides[1] = newAcceptor(&o, w.now, 65_535, seq, proof{seq: 100}, maxMTU4)
	w.flush(0)
	// A Socket answers a SYN before the connection exists, which begins with the first packet that
	// the dialler sends afterwards.
	w.network = []parcel{{synAnswer(65_535, seq, proof{seq: 100}), 0}}
	w.deliver(0, false)
	return w
}

// synAnswer returns the packet that a Socket sends for a SYN.
func synAnswer(id, syn uint16, p proof) []byte {
	var b [headerLen]byte
	answerSYN(b[:], &header{id: id, seq: syn}, p, 1<<20, time.Second)
	return b[:]
}

// flush puts the packets of a side into the network.
func (w *world) flush(side int) {
	for b := w.sides[side].next(w.now); b != nil; b = w.sides[side].next(w.now) {
		w.network = append(w.network, parcel{bytes.Clone(b), 1 - side})
	}
}

// deliver delivers packet i, and keeps it if again is set.
func (w *world) deliver(i int, again bool) {
	p := w.network[i]
	if !again {
		w.network = append(w.network[:i:i], w.network[i+1:]...)
	}
	var h header
	if parse(&h, p.data) {
		w.sides[p.to].handle(w.now, &h)
	}
	w.flush(p.to)
}

// tick lets time pass.
func (w *world) tick(d time.Duration) {
	w.now += d
	for i, m := range w.sides {
		if m.deadline() <= w.now {
			m.timeout(w.now)
		}
		w.flush(i)
	}
}

func (w *world) take(side, n int) {
	var buf [16 << 10]byte
	for n > 0 {
		k := w.sides[side].r.read(buf[:min(n, len(buf))])
		if k == 0 {
			break
		}
		w.read[side] = append(w.read[side], buf[:k]...)
		n -= k
	}
	w.flush(side)
}

// check compares the machines with the model.
func (w *world) check(t *rapid.T) {
	for i, m := range w.sides {
		if !bytes.HasPrefix(w.wrote[1-i], w.read[i]) {
			t.Fatalf("side %d read bytes that the other did not write", i)
		}
		inFlight, lostCount, unsent := 0, 0, 0
		for seq := m.s.una; seq != m.s.end; seq++ {
			switch p := m.s.at(seq); p.status {
			case flying:
				inFlight += p.payload()
			case lost:
				lostCount++
			case queued:
				unsent += p.payload()
			}
		}
		if inFlight != m.s.inFlight || lostCount != m.s.lost || unsent != m.s.unsent {
			t.Fatalf("side %d counts %d, %d, %d, want %d, %d, %d", i, m.s.inFlight, m.s.lost, m.s.unsent, inFlight, lostCount, unsent)
		}
		kept := 0
		for _, b := range m.r.ring {
			if b != nil {
				kept++
			}
		}
		if kept != m.r.reordered {
			t.Fatalf("side %d keeps %d packets and counts %d", i, kept, m.r.reordered)
		}
		if m.r.unread.size > m.r.limit+maxPacket+maxReorder*maxPacket {
			t.Fatalf("side %d holds %d bytes", i, m.r.unread.size)
		}
		if m.state == ended && m.cause != nil {
			t.Fatalf("side %d ended: %v", i, m.cause)
		}
	}
}

// TestMachinesMatchModel lets two machines exchange bytes over a network that loses, repeats and
// reorders packets at will, and checks that each reads exactly what the other wrote.
func TestMachinesMatchModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		side := func(t *rapid.T) int { return rapid.IntRange(0, 1).Draw(t, "side") }
		packet := func(t *rapid.T) int {
			if len(w.network) == 0 {
				t.Skip("no packet is on its way")
			}
			return rapid.IntRange(0, len(w.network)-1).Draw(t, "packet")
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				i := side(t)
				p := randomBytes(rapid.SampledFrom([]int{1, 100, 1300, 30_000}).Draw(t, "n"), uint64(len(w.wrote[0])+len(w.wrote[1])))
				if w.sides[i].state == open {
					n := w.sides[i].write(w.now, p)
					w.wrote[i] = append(w.wrote[i], p[:n]...)
					w.flush(i)
				}
			},
			"read":    func(t *rapid.T) { w.take(side(t), rapid.IntRange(1, 50_000).Draw(t, "n")) },
			"deliver": func(t *rapid.T) { w.deliver(packet(t), false) },
			"all": func(t *rapid.T) {
				for range len(w.network) {
					w.deliver(0, false)
				}
			},
			"repeat": func(t *rapid.T) { w.deliver(packet(t), true) },
			"lose": func(t *rapid.T) {
				i := packet(t)
				w.network = append(w.network[:i:i], w.network[i+1:]...)
			},
			"wait": func(t *rapid.T) { w.tick(time.Duration(rapid.IntRange(1, 2000).Draw(t, "ms")) * time.Millisecond) },
			"":     w.check,
		})
		w.settle(t)
	})
}

// settle delivers everything, closes both sides, and checks that all bytes were read.
func (w *world) settle(t *rapid.T) {
	for round := 0; ; round++ {
		if round > 2000 {
			t.Fatalf("the machines do not settle: read %d of %d and %d of %d; states %d, %d", len(w.read[0]), len(w.wrote[1]), len(w.read[1]), len(w.wrote[0]), w.sides[0].state, w.sides[1].state)
		}
		for n := len(w.network); n > 0; n-- {
			w.deliver(0, false)
		}
		w.tick(50 * time.Millisecond)
		w.take(0, 1<<20)
		w.take(1, 1<<20)
		w.check(t)
		done := len(w.read[0]) == len(w.wrote[1]) && len(w.read[1]) == len(w.wrote[0]) && w.sides[0].state != dialing
		if done && !w.sides[0].closed {
			w.sides[0].close(w.now)
			w.sides[1].close(w.now)
		}
		if w.sides[0].state == ended && w.sides[1].state == ended {
			return
		}
	}
}

// FuzzMachine passes packets of a fuzzer to a connection that has data in flight.
func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x21\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x10\x00\x00\x00\x65\x00\x01\x00\x04\xff\xff\xff\xff"), uint8(1))
	f.Add([]byte("\x01\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x10\x00\x00\x00\x65\x00\x01data"), uint8(2))
	f.Add([]byte("\x11\x02\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x10\x00\x00\x00\x65\x00\x01\x00\x08abcdefgh"), uint8(3))
	f.Fuzz(func(t *testing.T, p []byte, split uint8) {
		var o Options
		o.set()
		now := time.Second
		m := newAcceptor(&o, now, 0, 100, proof{seq: 1 - 100 + 1<<16}, maxMTU4)
		m.write(now, make([]byte, 50_000))
		for len(p) > 0 {
			n := min(len(p), 20+int(split))
			var h header
			if parse(&h, p[:n]) {
				m.handle(now, &h)
			}
			for i := 0; m.next(now) != nil; i++ {
				if i > 1000 {
					t.Fatal("next returns packets for ever")
				}
			}
			if m.s.inFlight < 0 || m.s.unsent < 0 || m.s.lost < 0 || m.r.reordered < 0 {
				t.Fatalf("negative counts: %d, %d, %d, %d", m.s.inFlight, m.s.unsent, m.s.lost, m.r.reordered)
			}
			now += 100 * time.Millisecond
			m.timeout(now)
			p = p[n:]
		}
	})
}
