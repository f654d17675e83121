package torrent_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/storage"
	"spate/torrent"
	"spate/tracker"
	trackerswarm "spate/tracker/swarm"
)

// routedSwarm is a simulated swarm of peers, of which some are behind routers that let no
// connections in. The tracker is the table of the real one.
type routedSwarm struct {
	t     *testing.T
	world *simnet.Network
	table *trackerswarm.Table
	hosts []*simnet.Host
	inner []*simnet.Host // those behind routers
	ran   sync.WaitGroup
}

// tableAnnouncer announces a session, as if from the address from, to a table. Each answer
// allows the next announce only after the interval, as over UDP, if udp is set.
type tableAnnouncer struct {
	table *trackerswarm.Table
	from  netip.Addr
	udp   bool
}

func (a *tableAnnouncer) Announce(_ context.Context, _ string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	var rep trackerswarm.Reply
	err := a.table.Announce(time.Now(), &trackerswarm.Request{
		InfoHash: req.InfoHash, PeerID: req.PeerID, Key: req.Key, Addr: netip.AddrPortFrom(a.from, req.Port), Seed: req.Seed(),
		Blocked: req.Event == tracker.EventNone && !req.Seed() && req.Downloaded == 0, Event: req.Event, NumWant: 50, Want4: true,
	}, &rep)
	resp := &tracker.AnnounceResponse{Interval: rep.Interval, MinInterval: rep.MinInterval, Complete: int(rep.Seeders), Incomplete: int(rep.Leechers)}
	for p := rep.Peers4; len(p) >= 6; p = p[6:] {
		resp.Peers = append(resp.Peers, netip.AddrPortFrom(netip.AddrFrom4([4]byte(p)), uint16(p[4])<<8|uint16(p[5])))
	}
	if a.udp {
		resp.MinInterval = 0
	}
	return resp, err
}

// join adds a peer. The tracker and other peers see the address of its router if it has one.
func (r *routedSwarm) join(ctx context.Context, behindRouter, udp bool, opt torrent.AddOptions, data []byte) *torrent.Torrent {
	n := byte(len(r.hosts) + 1)
	addr := netip.AddrFrom4([4]byte{10, 0, 0, n})
	host := r.world.Host(addr, simnet.Link{Latency: 10 * time.Millisecond})
	r.hosts = append(r.hosts, host)
	from := addr
	if behindRouter {
		from = netip.AddrFrom4([4]byte{10, 1, 0, n}) // no host has this address
		for _, other := range r.inner {
			r.world.Partition(host, other, true)
		}
		r.inner = append(r.inner, host)
	}
	s, err := torrent.NewSession(torrent.Options{
		Network: host, Announcer: &tableAnnouncer{r.table, from, udp}, Bind: addr, PeerPort: 6881, Seed: uint64(n),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.ran.Go(func() { s.Run(ctx) })
	_, mi := makeTorrent(r.t, len(data), 64<<10)
	t, err := s.Add(mi, opt)
	if err != nil {
		r.t.Fatal(err)
	}
	return t
}

// TestReachablePeerThatComesLate checks that a seed and a getter behind routers, which cannot
// connect to each other, find a reachable getter that comes a minute later within about two
// minutes.
func TestReachablePeerThatComesLate(t *testing.T) {
	t.Parallel()
	for name, udp := range map[string]bool{"HTTP": false, "UDP": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				table, err := trackerswarm.New(trackerswarm.Options{Seed: [16]byte{1}})
				if err != nil {
					t.Fatal(err)
				}
				defer table.Close()
				ctx, cancel := context.WithCancel(context.Background())
				r := &routedSwarm{t: t, world: simnet.New(simnet.Options{Seed: 1}), table: table}
				defer r.ran.Wait()
				defer cancel()
				data, _ := makeTorrent(t, 4<<20, 64<<10)
				r.join(ctx, true, udp, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}, data)
				hidden := r.join(ctx, true, udp, torrent.AddOptions{Storage: storage.NewMemoryLike(data)}, data)
				time.Sleep(time.Minute)
				late := r.join(ctx, false, udp, torrent.AddOptions{Storage: storage.NewMemoryLike(data)}, data)
				began := time.Now()
				for _, one := range []*torrent.Torrent{late, hidden} {
					wait, stop := context.WithTimeout(ctx, time.Hour)
					if err := one.Wait(wait); err != nil {
						t.Errorf("a getter does not finish within an hour: %v", err)
					}
					stop()
					if took := time.Since(began); took > 2*time.Minute+15*time.Second {
						t.Errorf("a getter finished after %v", took)
					}
				}
			})
		})
	}
}
