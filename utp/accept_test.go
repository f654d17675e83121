package utp

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// guess passes a packet that was made without having seen an answer of s.
func guess(s *Socket, from netip.AddrPort, seq, ack uint16, rng *rand.Rand) {
	h := header{kind: stData, id: 7, seq: seq, ack: ack, timestamp: rng.Uint32() | 1, delay: rng.Uint32()}
	var b [headerLen]byte
	h.put(b[:])
	s.Handle(b[:], from)
}

// TestBlindGuessesOpenNothing checks that a sender that does not see the answers to its SYNs opens
// no connection, neither with all sequence numbers from one address nor from many addresses.
func TestBlindGuessesOpenNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(0)
		s := n.listen(t, "10.0.0.1:1", Options{MaxConns: 1 << 20, Backlog: 1 << 20})
		defer s.Close()
		s.secret = [32]byte{} // so that the result does not depend on chance
		rng := rand.New(rand.NewPCG(1, 1))
		for ack := range 1 << 16 {
			guess(s, netip.MustParseAddrPort("10.0.0.2:2"), 100, uint16(ack), rng)
		}
		for i := range 1 << 17 {
			a := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
			guess(s, netip.AddrPortFrom(a, 9), uint16(i), uint16(i), rng)
		}
		if conns, _ := s.sizes(); conns != 0 {
			t.Errorf("%d connections were opened by guesses", conns)
		}
	})
}

// TestGuessesAreLimited checks that an address from which wrong guesses come opens a connection while
// they are many, if its first packet arrives and is fast, but not while they are too many, even with
// the right one, and that other addresses do.
func TestGuessesAreLimited(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		guesses int
		latency time.Duration
		lost    bool // the first packet with data is lost, so that the second one arrives before it
		opens   bool
	}{
		{"few", maxGuesses - 1, time.Second, false, true},
		{"many", 2 * maxGuesses, 100 * time.Millisecond, false, true},
		{"many, and the peer is far", 2 * maxGuesses, 300 * time.Millisecond, false, false},
		{"many, and a packet is lost", 2 * maxGuesses, 100 * time.Millisecond, true, false},
		{"few, and a packet is lost", maxGuesses - 1, 100 * time.Millisecond, true, true},
		{"too many", maxStrict + 1, time.Millisecond, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newTestNet(c.latency)
			s := n.listen(t, "10.0.0.1:1", Options{})
			a, b := n.listen(t, "10.0.0.2:2", Options{}), n.listen(t, "10.0.0.3:3", Options{})
			for _, s := range []*Socket{s, a, b} {
				defer s.Close()
			}
			s.guesses.seed, a.guesses.seed = b.guesses.seed, b.guesses.seed
			s.secret = [32]byte{} // so that the result does not depend on chance
			rng := rand.New(rand.NewPCG(1, 1))
			x, err := a.Dial(t.Context(), s.opt.Addr)
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.guesses {
				guess(s, a.opt.Addr, uint16(i), 1, rng)
			}
			if sum := int(*s.guesses.counter(a.opt.Addr.Addr(), s.now())); sum != min(c.guesses, maxStrict) {
				t.Errorf("%s: %d guesses were compared of %d", c.what, sum, c.guesses)
			}
			if c.lost {
				dropped := false
				n.drop = func(p []byte, from, to netip.AddrPort) bool {
					var h header
					first := !dropped && from == a.opt.Addr && parse(&h, p) && h.kind == stData
					dropped = dropped || first
					return first
				}
			}
			fmt.Fprintf(x, "hello")
			fmt.Fprintf(x, "hello again")
			time.Sleep(2*c.latency + 50*time.Millisecond)
			if conns, _ := s.sizes(); (conns == 1) != c.opens {
				t.Errorf("%s: %d connections", c.what, conns)
			}
			before := 0
			if c.opens {
				before = 1
				s.Accept()
			}
			connect(t, b, s)
			if conns, _ := s.sizes(); conns != before+1 {
				t.Errorf("%s: %d connections, want %d with the one of the other address", c.what, conns, before+1)
			}
			time.Sleep(6 * guessPeriod)
			if conns, _ := s.sizes(); conns != 2 {
				t.Errorf("%s: %d connections when the guesses were forgotten, want 2", c.what, conns)
			}
		})
	}
}

// TestPeerOpensInTime checks that the first packet of a peer opens the connection although a few
// before it are lost, the secret has changed since the SYN, or the peer waited for a minute; and
// that it opens none a minute after the secret has changed.
func TestPeerOpensInTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what       string
		dial, wait time.Duration // when the peer dials, and how long it waits with its first packet
		lost       int
		opens      bool
	}{
		{"at once", time.Second, 0, 0, true},
		{"the first packets are lost", time.Second, 0, maxLostFirst, true},
		{"after a minute", time.Second, time.Minute, 0, true},
		{"with the secret before", secretLife - time.Second, 10 * time.Second, 0, true},
		{"too late", secretLife - time.Second, time.Minute, 0, false},
		{"two secrets later", secretLife - time.Second, secretLife + 2*time.Second, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newTestNet(20 * time.Millisecond)
			s := n.listen(t, "10.0.0.1:1", Options{})
			defer s.Close()
			var answer []byte
			peer := netip.MustParseAddrPort("10.0.0.2:2")
			n.drop = func(b []byte, from, to netip.AddrPort) bool {
				answer = bytes.Clone(b)
				return true
			}
			time.Sleep(c.dial)
			syn := header{kind: stSyn, id: 65_535, seq: 65_534, timestamp: 1}
			var b [headerLen]byte
			syn.put(b[:])
			s.Handle(b[:], peer)
			var got, first header
			parse(&got, answer)
			received := uint32(time.Now().UnixMicro()) + 12345 // the peer's clock
			time.Sleep(c.wait)
			first = header{
				kind: stData, id: 0, seq: syn.seq + 1 + uint16(c.lost), ack: got.seq - 1,
				timestamp: uint32(time.Now().UnixMicro()) + 12345, delay: received - got.timestamp,
			}
			first.put(b[:])
			time.Sleep(100 * time.Millisecond)
			s.Handle(b[:], peer)
			if conns, _ := s.sizes(); (conns == 1) != c.opens {
				t.Errorf("%s: %d connections", c.what, conns)
			}
		})
	}
}

// TestTimesOfConnectionFitItsAnswer checks that the times in packets of an accepted connection
// continue those of the answer to the SYN, so that the peer measures no jump of the clock.
func TestTimesOfConnectionFitItsAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(10 * time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{})
		defer a.Close()
		defer b.Close()
		var offsets []uint32
		n.drop = func(p []byte, from, to netip.AddrPort) bool {
			var h header
			if from == b.opt.Addr && parse(&h, p) {
				offsets = append(offsets, h.timestamp-uint32(b.now().Microseconds()))
			}
			return false
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		x, err := a.Dial(ctx, b.opt.Addr)
		if err != nil {
			t.Fatal(err)
		}
		y, err := b.Accept()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(x, "hello")
		fmt.Fprintf(y, "hello")
		time.Sleep(time.Second)
		y.Close()
		time.Sleep(time.Second)
		if len(offsets) < 3 || offsets[0] == 0 {
			t.Fatalf("%d packets, want at least 3 with a keyed time", len(offsets))
		}
		for _, o := range offsets {
			if o != offsets[0] {
				t.Errorf("the clock jumps by %d microseconds", int32(o-offsets[0]))
			}
		}
	})
}

// BenchmarkUnknownPacket measures what a packet of no connection costs.
func BenchmarkUnknownPacket(b *testing.B) {
	s, err := NewSocket(host{newTestNet(0), netip.AddrPort{}}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range b.N {
		a := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
		guess(s, netip.AddrPortFrom(a, 9), uint16(i), 1, rng)
	}
}
