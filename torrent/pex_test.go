package torrent

import (
	"net/netip"
	"testing"
	"time"

	"spate/peerwire"
	"spate/storage"
)

// TestPEXNamesNewPeersSoon checks that a peer is told within seconds of the peers that join
// a young swarm, although messages of peer exchange go out once a minute on average, and that
// it is never sent more than four of them in a minute.
func TestPEXNamesNewPeersSoon(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 64<<14, 1<<14)
	withSimSession(t, Options{}, func(sim *simSession) {
		added(t, sim.s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
		hello := func(p *scriptedPeer, port uint16) {
			p.send(peerwire.AppendExtHandshake(peerwire.AppendSimple(nil, peerwire.HaveNone), &peerwire.ExtHandshake{PEX: 6, Port: port}))
		}
		first := sim.dial(mi.Hash())
		hello(first, 7000)
		first.awaitExtHandshake()

		var sent []time.Time // when messages of peer exchange arrived
		told := func(port uint16, within time.Duration) {
			t.Helper()
			for end := time.Now().Add(within); first.hears(peerwire.Extended, time.Until(end)); {
				m, _, err := parsed(first.raw)
				if err != nil || m.Index != 6 {
					continue
				}
				sent = append(sent, time.Now())
				pex, err := peerwire.ParsePEX(m.Payload)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range pex.Added {
					if a.Port() == port {
						return
					}
				}
			}
			t.Errorf("not told of the peer with port %d within %v", port, within)
		}
		for i, wait := range []time.Duration{3 * time.Second, 6 * time.Second, 9 * time.Second, 12 * time.Second, 70 * time.Second, 70 * time.Second} {
			time.Sleep(2 * time.Second)
			first.send(peerwire.AppendKeepAlive(nil))
			port := 7001 + uint16(i)
			hello(sim.dial(mi.Hash()), port)
			told(port, wait)
		}
		for i := range sent {
			if i >= 4 && sent[i].Sub(sent[i-4]) < 55*time.Second {
				t.Errorf("5 messages within %v", sent[i].Sub(sent[i-4]))
			}
		}
	})
}

// parsed returns the message in b.
func parsed(b []byte) (m peerwire.Message, n int, err error) {
	n, _, err = peerwire.Parse(b, &m)
	return m, n, err
}

// TestPEXCredit checks how many addresses one peer may name: those of one full message at
// once, whether in one message or in many, and as many again after 45 seconds.
func TestPEXCredit(t *testing.T) {
	t.Parallel()
	const full = 2 * peerwire.MaxPEX
	now := time.Unix(1e9, 0)
	for _, c := range []struct {
		name string
		each int // addresses in each message
		gap  time.Duration
		n    int // messages
		min  int // addresses that are taken
		max  int
	}{
		{"one message", full, 0, 1, full, full},
		{"a flood of full messages", full, time.Millisecond, 1000, full, full + full/45},
		{"a flood of small messages", 1, time.Millisecond, 1000, 5, 12},
		{"a message a minute", full, time.Minute, 5, 5 * full, 5 * full},
		{"four small messages, seconds apart", 10, 4 * time.Second, 4, 40, 40},
		{"empty messages", 0, 0, 50, 0, 0},
	} {
		var s pexState
		taken := 0
		for i := range c.n {
			s.refill(now.Add(time.Duration(i) * c.gap))
			if s.credit >= pexMessageCost {
				taken += s.accept(c.each)
			}
			if s.credit < 0 {
				t.Fatalf("%s: the credit is %g", c.name, s.credit)
			}
		}
		if taken < c.min || taken > c.max {
			t.Errorf("%s: %d addresses were taken, want %d to %d", c.name, taken, c.min, c.max)
		}
	}
}

// TestPEXLooksOnlyAfterChanges checks that peer exchange does not look through all connections
// each second for each peer of a swarm that does not change.
func TestPEXLooksOnlyAfterChanges(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 64<<14, 1<<14)
	withSimSession(t, Options{}, func(sim *simSession) {
		tor := added(t, sim.s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
		var peers []*scriptedPeer
		for i := range 3 {
			p := sim.dial(mi.Hash())
			p.send(peerwire.AppendExtHandshake(peerwire.AppendSimple(nil, peerwire.HaveNone), &peerwire.ExtHandshake{PEX: 6, Port: 7000 + uint16(i)}))
			p.awaitExtHandshake()
			peers = append(peers, p)
		}
		looks := func() uint64 {
			tor.mu.Lock()
			defer tor.mu.Unlock()
			return tor.peerConns.looks
		}
		time.Sleep(30 * time.Second)
		before := looks()
		for range 3 {
			time.Sleep(20 * time.Second)
			for _, p := range peers {
				p.send(peerwire.AppendKeepAlive(nil))
			}
		}
		if after := looks(); before == 0 || after != before {
			t.Errorf("%d passes over the connections before a minute without changes, %d after it", before, after)
		}
	})
}

// TestPEXWaitsForHandshakeWithoutLooking checks that peer exchange does not look through all connections
// each second while the extension handshake of one peer is awaited, and names that peer after five
// seconds.
func TestPEXWaitsForHandshakeWithoutLooking(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 64<<14, 1<<14)
	withSimSession(t, Options{}, func(sim *simSession) {
		tor := added(t, sim.s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
		looks := func() uint64 {
			tor.mu.Lock()
			defer tor.mu.Unlock()
			return tor.peerConns.looks
		}
		told := sim.dial(mi.Hash())
		told.send(peerwire.AppendExtHandshake(peerwire.AppendSimple(nil, peerwire.HaveNone), &peerwire.ExtHandshake{PEX: 6, Port: 7000}))
		told.awaitExtHandshake()
		time.Sleep(30 * time.Second)
		before := looks()
		sim.dial(mi.Hash()) // sends no extension handshake
		tor.mu.Lock()
		for _, c := range tor.peerConns.byID {
			if c != nil && !c.ext.greeted { // as if this side had dialled it
				c.ext.listens = netip.AddrPortFrom(c.peer.addr.Addr(), 7001)
			}
		}
		tor.mu.Unlock()
		for range 4 {
			time.Sleep(time.Second)
		}
		if n := looks() - before; n != 1 {
			t.Errorf("%d passes over the connections in four seconds after a peer has connected", n)
		}
		time.Sleep(4 * time.Second)
		if n := looks() - before; n != 2 {
			t.Errorf("%d passes over the connections after the time for the handshake", n)
		}
	})
}
