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
)

// simSession is a session on a simulated network with scripted peers.
type simSession struct {
	t     *testing.T
	net   *simnet.Network
	s     *Session
	hosts byte
	peers []*scriptedPeer
}

// withSimSession runs f with a session, in simulated time.
func withSimSession(t *testing.T, opt Options, f func(sim *simSession)) {
	synctest.Test(t, func(t *testing.T) {
		sim := &simSession{t: t, net: simnet.New(simnet.Options{Seed: 1})}
		opt.Bind = netip.AddrFrom4([4]byte{10, 0, 0, 1})
		host := sim.net.Host(opt.Bind, simnet.Link{})
		opt.Network, opt.PeerPort, opt.Seed = host, 6881, 1
		if u, ok := opt.UTP.(interface {
			listen(t *testing.T, host *simnet.Host, at netip.Addr)
		}); ok {
			u.listen(t, host, opt.Bind)
		}
		s, err := NewSession(opt)
		if err != nil {
			t.Fatal(err)
		}
		sim.s = s
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		defer func() {
			for _, p := range sim.peers {
				p.c.Close()
			}
			cancel()
			wg.Wait()
		}()
		f(sim)
	})
}

// host returns a new host.
func (sim *simSession) host() *simnet.Host {
	sim.hosts++
	return sim.net.Host(netip.AddrFrom4([4]byte{10, 0, sim.hosts, 1}), simnet.Link{Latency: time.Millisecond})
}

// dial connects a scripted peer to the session from a new host.
func (sim *simSession) dial(hash spate.InfoHash) *scriptedPeer {
	sim.t.Helper()
	c, err := sim.host().DialContext(sim.t.Context(), "tcp", sim.s.Addr().String())
	if err != nil {
		sim.t.Fatal(err)
	}
	p := handshakeOver(sim.t, c, hash, extendedAndFast())
	sim.peers = append(sim.peers, p)
	return p
}
