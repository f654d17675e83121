package swarmtest

import (
	"time"

	"spate"
	"spate/tracker/swarm"
)

// sockets sets the numbers of peers without an address and returns the reply.
func (u *run) sockets(r swarm.Sockets) swarm.Reply {
	u.Helper()
	var rep swarm.Reply
	rep.Peers4 = append(rep.Peers4, 1, 2, 3) // must be reset
	if err := u.s.CountSockets(u.now, &r, &rep); err != nil {
		u.Fatalf("%d seeds and %d leechers without an address: %v", r.Seeders, r.Leechers, err)
	}
	u.check()
	if len(rep.Peers4)+len(rep.Peers6) > 0 || rep.Interval <= 0 || rep.New || rep.Moved || rep.Removed {
		u.Fatalf("reply about peers without an address: %+v", rep)
	}
	return rep
}

func countsSockets(u *run) {
	u.announce(seed(peer(1)))
	if rep := u.sockets(swarm.Sockets{InfoHash: hashA, Seeders: 2, Leechers: 3}); rep.Seeders != 3 || rep.Leechers != 3 {
		u.Fatalf("%+v", rep)
	}
	u.counts(hashA, 3, 3, 0)
	rep := u.announce(peer(2))
	if rep.Seeders != 3 || rep.Leechers != 4 {
		u.Fatalf("the reply to a peer with an address: %+v", rep)
	}
	if got := peers(u, &rep); len(got) != 1 || !got[peer(1).Addr] {
		u.Fatalf("a peer was given %v", got)
	}
	u.sockets(swarm.Sockets{InfoHash: hashB, Leechers: 7})
	if tot := u.s.Totals(); tot.SocketSeeders != 2 || tot.SocketLeechers != 10 || tot.Seeders() != 3 || tot.Leechers() != 11 || tot.Peers() != 2 || tot.Active != 2 {
		u.Fatalf("totals: %+v", tot)
	}
	if busiest := u.s.Busiest(2); len(busiest) != 2 || busiest[0].Leechers+busiest[1].Leechers != 11 {
		u.Fatalf("the busiest swarms are %+v", busiest)
	}
	u.sockets(swarm.Sockets{InfoHash: hashA})
	u.counts(hashA, 1, 1, 0)
}

func keepsSockets(u *run) {
	u.sockets(swarm.Sockets{InfoHash: hashA, Leechers: 1})
	u.announce(peer(1))
	u.now = u.now.Add(2 * time.Hour)
	u.s.Sweep(u.now, 0)
	u.check()
	u.counts(hashA, 0, 1, 0)
	u.sockets(swarm.Sockets{InfoHash: hashA})
	if _, _, _, ok := u.s.Scrape(u.now, hashA); ok {
		u.Fatal("the swarm is kept after its last peer has left")
	}
	u.sockets(swarm.Sockets{InfoHash: hashB})
	if _, _, _, ok := u.s.Scrape(u.now, hashB); ok {
		u.Fatal("a swarm without peers was created")
	}
	u.sockets(swarm.Sockets{InfoHash: hashA, Leechers: 1})
	u.s.Drop(hashA)
	u.check()
	u.counts(hashA, 0, 0, 0)
}

func completesSockets(u *run) {
	done := swarm.Sockets{InfoHash: hashA, Seeders: 1, PeerID: spate.PeerID{1}, Seed: true, Completed: true}
	if rep := u.sockets(done); !rep.Counted || rep.Completed != 1 {
		u.Fatalf("%+v", rep)
	}
	if rep := u.sockets(done); rep.Counted || rep.Completed != 1 {
		u.Fatalf("the second time: %+v", rep)
	}
	done.PeerID[0]++
	if rep := u.sockets(done); !rep.Counted || rep.Completed != 2 {
		u.Fatalf("another peer: %+v", rep)
	}
	u.counts(hashA, 1, 0, 2)
}
