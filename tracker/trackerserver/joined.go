package trackerserver

import (
	"sync"

	"spate"
	"spate/internal/fairpool"
)

const (
	// ownSwarms is the number of swarms that each client can be in. Further ones take part of
	// maxSpare, which bounds those of all clients: each takes about 300 bytes here.
	ownSwarms = 8
	maxSpare  = 1 << 17
)

// joined lists the swarms of a client. The goroutine that reads the messages of the client owns it.
type joined struct {
	list   []*attendee
	byHash map[spate.InfoHash]*attendee // nil if there are few
}

// find returns the peer of a swarm, or nil.
func (j *joined) find(ih *spate.InfoHash) *attendee {
	if j.byHash != nil {
		return j.byHash[*ih]
	}
	for _, a := range j.list {
		if a.hash == *ih {
			return a
		}
	}
	return nil
}

// add adds a peer of a swarm in which the client has none.
func (j *joined) add(a *attendee) {
	a.own = len(j.list)
	j.list = append(j.list, a)
	switch {
	case j.byHash != nil:
		j.byHash[a.hash] = a
	case len(j.list) > ownSwarms:
		j.byHash = make(map[spate.InfoHash]*attendee, len(j.list))
		for _, a := range j.list {
			j.byHash[a.hash] = a
		}
	}
}

// remove removes one of the peers.
func (j *joined) remove(a *attendee) {
	last := len(j.list) - 1
	moved := j.list[last]
	j.list[a.own], moved.own = moved, a.own
	j.list[last] = nil
	j.list = j.list[:last]
	delete(j.byHash, a.hash)
	if len(j.list) <= ownSwarms {
		j.byHash = nil
	}
}

// spareSwarms shares maxSpare among networks. A network can take one as long as it has fewer than are
// free: one network gets at most a half, and there is room for another one. Its methods are safe for
// concurrent use.
type spareSwarms struct {
	mu   sync.Mutex // guards the fields below
	used int
	by   map[fairpool.Network]int
}

// take takes one for a network, or returns false.
func (s *spareSwarms) take(n fairpool.Network) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[n] >= maxSpare-s.used {
		return false
	}
	if s.by == nil {
		s.by = map[fairpool.Network]int{}
	}
	s.by[n]++
	s.used++
	return true
}

// free frees one of a network.
func (s *spareSwarms) free(n fairpool.Network) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.by[n]--
	if s.by[n] == 0 {
		delete(s.by, n)
	}
}
