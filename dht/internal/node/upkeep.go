package node

import (
	"net/netip"
	"slices"
	"time"

	"spate/dht/internal/krpc"
	"spate/dht/internal/table"
)

// Times and sizes of the start and of the upkeep.
const (
	upkeepEvery  = 5 * time.Second
	bootEvery    = 250 * time.Millisecond
	bootBatch    = 16              // known nodes that are asked at a time
	bootWait     = 2 * time.Second // time after which the bootstrap nodes are asked
	bootRetry    = 15 * time.Second
	bootRetryMax = 5 * time.Minute
	enough       = table.K // good nodes with which the start is over
	maxKnown     = 512     // nodes to start from that are kept
	duePings     = 4       // pings of one upkeep for each family
)

// boot is the start of a family: it asks known nodes, a batch at a time, and then bootstrap
// nodes, and searches for the own id once nodes answer. It starts again, less and less often,
// while the table has few good nodes.
type boot struct {
	running   bool
	known     []netip.AddrPort // not asked yet
	bootstrap []netip.AddrPort
	asked     bool // the bootstrap nodes have been asked in this start
	since     time.Time
	searchAt  time.Time // time from which the search may begin
	retryAt   time.Time
	retry     time.Duration
	search    *Search // for the own id
	done      bool    // such a search has ended with nodes
}

func newBoot(now time.Time, v6 bool, known, bootstrap []netip.AddrPort) boot {
	b := boot{running: true, since: now, retry: bootRetry}
	for _, a := range known {
		if a.Addr().Is6() == v6 {
			b.add(a)
		}
	}
	for _, a := range bootstrap {
		if a.Addr().Is6() == v6 && a.Port() != 0 {
			b.bootstrap = append(b.bootstrap, a)
		}
	}
	return b
}

// add adds a node to start from.
func (b *boot) add(a netip.AddrPort) {
	if len(b.known) < maxKnown && a.Port() != 0 && !slices.Contains(b.known, a) {
		b.known = append(b.known, a)
	}
}

// restart begins another start, or only another search for the own id if the table has nodes.
func (b *boot) restart(now time.Time) {
	b.running, b.since, b.asked = true, now, false
}

// usable reports whether the family can search: it knows enough nodes, or all that its first search
// found in a small network.
func (f *family) usable(now time.Time) bool {
	return f.boot.done && f.table.Len() > 0 || f.table.Good(now) >= enough
}

// upkeep does the periodic work and returns when it is due again.
func (n *Node) upkeep(now time.Time) time.Time {
	next := now.Add(upkeepEvery)
	for _, f := range n.families {
		if f.boot.running || len(f.boot.known) > 0 {
			n.start(now, f)
		} else if now.After(f.boot.retryAt) && f.table.Good(now) < enough {
			f.boot.restart(now)
		}
		if f.boot.running {
			next = now.Add(bootEvery)
			continue
		}
		n.nodes = f.table.Due(n.nodes[:0], now, duePings)
		for _, c := range n.nodes {
			n.ping(now, f, c)
		}
		if target, ok := f.table.Refresh(now, n.randomID()); ok {
			n.find(now, f, target, nil)
		}
	}
	return next
}

// start asks nodes until the table is usable.
func (n *Node) start(now time.Time, f *family) {
	b := &f.boot
	batch := b.known[:min(bootBatch, len(b.known))]
	for _, a := range batch {
		n.ping(now, f, Contact{Addr: a})
	}
	b.known = slices.Delete(b.known, 0, len(batch))
	if !b.running || b.search != nil {
		return
	}
	if f.table.Len() > 0 {
		if !now.Before(b.searchAt) {
			s := n.find(now, f, f.id, func(s *Search) { n.started(s.ended, f, s) })
			if s.live() {
				b.search = s
			}
		}
		return
	}
	if waited := now.Sub(b.since); len(b.known) == 0 && !b.asked && (waited >= bootWait || len(batch) == 0) {
		n.askBootstrap(now, f)
	} else if waited >= bootRetry {
		n.giveUp(now, f)
	}
}

// started ends the start after the search for the own id.
func (n *Node) started(now time.Time, f *family, s *Search) {
	b := &f.boot
	b.search = nil
	b.done = b.done || f.table.Len() > 0
	if s.target != f.id {
		return // the id has changed meanwhile; search again
	}
	if f.table.Good(now) >= enough || b.asked || len(b.bootstrap) == 0 {
		n.giveUp(now, f)
		if f.table.Len() > 0 {
			b.retry = bootRetry
		}
		return
	}
	n.askBootstrap(now, f) // the known nodes lead to few others
}

// askBootstrap asks the bootstrap nodes, and gives them a moment to answer.
func (n *Node) askBootstrap(now time.Time, f *family) {
	f.boot.asked, f.boot.searchAt = true, now.Add(slowMax)
	for _, a := range f.boot.bootstrap {
		n.out = krpc.Message{Method: krpc.FindNode, Target: f.id, HasTarget: true}
		n.ask(now, f, Contact{Addr: a}, nil)
	}
}

// giveUp ends the start and sets the time of the next one, which comes if few nodes are good
// then.
func (n *Node) giveUp(now time.Time, f *family) {
	b := &f.boot
	b.running, b.asked = false, false
	b.retryAt = now.Add(b.retry)
	b.retry = min(2*b.retry, bootRetryMax)
}
