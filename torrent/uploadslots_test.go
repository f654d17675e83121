package torrent

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/peerwire"
	"spate/storage"
)

// yard is a session on a simulated network, in a bubble, for peers that a test
// speaks for.
type yard struct {
	t    *testing.T
	net  *simnet.Network
	s    *Session
	n    byte
	foes []*foe
}

// inYard runs f in a bubble.
func inYard(t *testing.T, opt Options, f func(y *yard)) {
	synctest.Test(t, func(t *testing.T) {
		y := &yard{t: t, net: simnet.New(simnet.Options{Seed: 1})}
		opt.Bind = netip.AddrFrom4([4]byte{10, 0, 0, 1})
		opt.Network, opt.PeerPort, opt.Seed = y.net.Host(opt.Bind, simnet.Link{}), 6881, 1
		s, err := NewSession(opt)
		if err != nil {
			t.Fatal(err)
		}
		y.s = s
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		defer func() {
			for _, f := range y.foes {
				f.c.Close()
			}
			cancel()
			wg.Wait()
		}()
		f(y)
	})
}

// host is a machine with an address of its own.
func (y *yard) host() *simnet.Host {
	y.n++
	return y.net.Host(netip.AddrFrom4([4]byte{10, 0, y.n, 1}), simnet.Link{Latency: time.Millisecond})
}

// dial connects to the session from a host of its own.
func (y *yard) dial(hash spate.InfoHash) *foe {
	y.t.Helper()
	c, err := y.host().DialContext(y.t.Context(), "tcp", y.s.Addr().String())
	if err != nil {
		y.t.Fatal(err)
	}
	f := greetFoe(y.t, c, hash, everything())
	y.foes = append(y.foes, f)
	return f
}

// hears reports whether a message of that id comes within a time.
func (f *foe) hears(id peerwire.ID, within time.Duration) bool {
	for end := time.Now().Add(within); ; {
		left := time.Until(end)
		if left <= 0 {
			return false
		}
		m, err := f.nextIn(left)
		if err != nil {
			return false
		}
		if m.ID == id {
			return true
		}
	}
}

// TestSlowToAsk has a peer that was unchoked and is interested not ask: it keeps the
// slot while nobody else wants it, and loses it to the first who does.
func TestSlowToAsk(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 64<<14, 1<<14)
	inYard(t, Options{UploadSlots: 1}, func(y *yard) {
		added(t, y.s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
		hello := peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.HaveNone), peerwire.Interested)
		slow := y.dial(mi.Hash())
		slow.send(hello)
		slow.await(peerwire.Unchoke)
		if slow.hears(peerwire.Choke, 45*time.Second) {
			t.Error("choked although nobody else wanted the slot")
		}
		eager := y.dial(mi.Hash())
		eager.send(hello)
		eager.await(peerwire.Unchoke)
		for i := range 40 {
			eager.send(peerwire.AppendBlock(nil, peerwire.Request, uint32(i), 0, 1<<14))
			eager.await(peerwire.Piece)
			time.Sleep(time.Second / 2)
		}
		if !slow.hears(peerwire.Choke, time.Second) {
			t.Error("kept the slot before one who takes something")
		}
	})
}
