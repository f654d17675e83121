package node

import (
	"encoding/binary"
	"net/netip"
	"time"

	"spate/dht/internal/krpc"
	"spate/dht/internal/limit"
)

// The times that a query waits.
const (
	slowMin   = 200 * time.Millisecond // bounds of the time after which a search asks another node meanwhile
	slowMax   = time.Second
	deadAfter = 5 * time.Second // the node counts as failed

	maxInFlight = 2048 // queries that wait for an answer
)

// query is a query that waits for an answer.
type query struct {
	to     Contact // the id is zero if it is not known
	sent   time.Time
	search *Search       // nil for a ping
	token  []byte        // of a query that writes
	again  bool          // the query has been sent twice
	later  *krpc.Message // a query that is answered when this one has been
}

// pending is an entry of the queues of queries.
type pending struct {
	tid  uint32
	sent time.Time
}

// inFlight holds the queries that wait for an answer. All wait equally long, so that two
// queues order their deadlines.
type inFlight struct {
	byTID      map[uint32]*query
	slow, dead fifo
	heard      time.Time // when the last packet with an answer arrived
	// The smoothed time and deviation of answers, as TCP measures them (RFC 6298).
	srtt, rttvar time.Duration
}

// fifo is a queue whose slots are reused.
type fifo struct {
	list []pending
	head int
}

func (q *fifo) push(p pending) {
	if q.head > 64 && q.head > len(q.list)/2 {
		q.list = q.list[:copy(q.list, q.list[q.head:])]
		q.head = 0
	}
	q.list = append(q.list, p)
}

func newInFlight() inFlight { return inFlight{byTID: map[uint32]*query{}} }

// waitsFor reports whether a query to an address waits for its answer.
func (in *inFlight) waitsFor(a netip.AddrPort) bool {
	for _, q := range in.byTID {
		if q.to.Addr == a {
			return true
		}
	}
	return false
}

// measure records how long an answer took.
func (in *inFlight) measure(rtt time.Duration) {
	if in.srtt == 0 {
		in.srtt, in.rttvar = rtt, rtt/2
		return
	}
	in.rttvar += ((rtt - in.srtt).Abs() - in.rttvar) / 4
	in.srtt += (rtt - in.srtt) / 8
}

// slowAfter returns the time after which a node is slow: later than most answers come.
func (in *inFlight) slowAfter() time.Duration {
	if in.srtt == 0 {
		return slowMax
	}
	return max(slowMin, min(slowMax, in.srtt+4*in.rttvar))
}

// due removes and returns the first query of a queue that was sent before a time. It skips
// queries that have been answered.
func (in *inFlight) due(q *fifo, before time.Time) (uint32, *query) {
	for q.head < len(q.list) {
		p := q.list[q.head]
		query := in.byTID[p.tid]
		if query != nil && query.sent == p.sent && p.sent.After(before) {
			return 0, nil
		}
		q.head++
		if query != nil && query.sent == p.sent {
			return p.tid, query
		}
	}
	return 0, nil
}

// next returns when the first query of a queue was sent that still waits.
func (in *inFlight) next(q *fifo) (time.Time, bool) {
	for ; q.head < len(q.list); q.head++ {
		p := q.list[q.head]
		if query := in.byTID[p.tid]; query != nil && query.sent == p.sent {
			return p.sent, true
		}
	}
	return time.Time{}, false
}

// ask sends the query in n.out, whose method and arguments are set, to a node.
func (n *Node) ask(now time.Time, f *family, to Contact, s *Search) *query {
	tid := n.rng.Uint32()
	for n.inFlight.byTID[tid] != nil {
		tid = n.rng.Uint32()
	}
	q := &query{to: to, sent: now, search: s}
	n.inFlight.byTID[tid] = q
	n.inFlight.slow.push(pending{tid, now})
	n.inFlight.dead.push(pending{tid, now})
	binary.BigEndian.PutUint32(n.tid[:], tid)
	n.out.Kind, n.out.TID, n.out.ID, n.out.ReadOnly = krpc.Query, n.tid[:], f.id, n.o.ReadOnly
	n.stats.QueriesOut++
	n.send(to.Addr)
	return q
}

// ping asks a node whether it answers.
func (n *Node) ping(now time.Time, f *family, to Contact) {
	if len(n.inFlight.byTID) >= maxInFlight {
		return
	}
	n.out = krpc.Message{Method: krpc.Ping}
	n.ask(now, f, to, nil)
}

// answer handles a response or an error in n.in.
func (n *Node) answer(now time.Time, f *family, from netip.AddrPort) {
	m := &n.in
	if len(m.TID) != 4 {
		return
	}
	tid := binary.BigEndian.Uint32(m.TID)
	q := n.inFlight.byTID[tid]
	if q == nil || q.to.Addr != from {
		return
	}
	delete(n.inFlight.byTID, tid)
	n.inFlight.heard = now
	n.inFlight.measure(now.Sub(q.sent))
	n.stats.Answered++
	n.proved.Add(now, from)
	if m.Kind == krpc.Error {
		if q.search != nil {
			q.search.refused(now, f, q)
		}
		return
	}
	if q.later != nil {
		n.in = *q.later // the sender may be read-only, so it does not enter the table
		n.reply(now, f, from, maxItemReply)
		return
	}
	if id, known := f.table.IDOf(from); known && id != m.ID {
		f.table.Remove(from)
	}
	if !m.ReadOnly {
		f.table.Responded(Contact{ID: m.ID, Addr: from}, now)
	}
	if !f.boot.running && !f.boot.done {
		f.boot.restart(now) // a node has come that found this one
	}
	n.observe(now, f, from.Addr(), m.External)
	if q.search != nil {
		q.search.answered(now, f, q)
	} else if f.boot.running {
		f.boot.searchAt, n.upkeepAt = now, now // the first answers start the search for close nodes
	}
}

// Answer appends the reply to a query to out, of at most krpc.MaxPacket bytes. The query came in on
// another socket than the packets of Handle, and the reply goes out there. Answer appends nothing for
// another packet. The sender is asked on the own socket whether it answers, as for a query there.
func (n *Node) Answer(now time.Time, from netip.AddrPort, packet, out []byte) []byte {
	f := n.family(from.Addr())
	if f == nil || from.Port() == 0 || n.o.ReadOnly {
		return out
	}
	n.stats.BytesIn += uint64(len(packet))
	before := len(n.packets)
	meet := false
	switch err := n.parser.Parse(&n.in, packet); {
	case err != nil:
		n.stats.Malformed++
		n.malformed(now, from, len(packet), err)
	case n.in.Kind == krpc.Query:
		n.stats.QueriesIn++
		if !n.limits.Allow(now, from.Addr(), 1) {
			n.stats.Limited++
			return out
		}
		most := limit.MaxReply(len(packet), n.proved.Has(now, from))
		meet = n.meet(now, f, from)
		if meet {
			most -= pingLen
		}
		n.reply(now, f, from, most)
	}
	if len(n.packets) > before {
		out = append(out, n.packets[before].Data...)
		n.packets = n.packets[:before]
	}
	if meet {
		n.ping(now, f, Contact{ID: n.in.ID, Addr: from})
	}
	return out
}

// expire ends queries without an answer.
func (n *Node) expire(now time.Time) {
	for {
		_, q := n.inFlight.due(&n.inFlight.slow, now.Add(-n.inFlight.slowAfter()))
		if q == nil {
			break
		}
		if q.search != nil {
			q.search.slowed(now, n.family(q.to.Addr.Addr()), q)
		}
	}
	for {
		tid, q := n.inFlight.due(&n.inFlight.dead, now.Add(-deadAfter))
		if q == nil {
			break
		}
		delete(n.inFlight.byTID, tid)
		n.stats.TimedOut++
		f := n.family(q.to.Addr.Addr())
		if q.to.ID != (ID{}) && !n.inFlight.heard.Before(q.sent) {
			f.table.Failed(q.to) // other nodes have answered since, so this node is at fault
		}
		if q.search != nil {
			q.search.failed(now, f, q)
		}
	}
}

// Tick does what is due: it ends queries without an answer and keeps the routing tables alive.
func (n *Node) Tick(now time.Time) {
	n.expire(now)
	if !now.Before(n.upkeepAt) {
		n.upkeepAt = n.upkeep(now)
	}
}

// Next returns when Tick is due next.
func (n *Node) Next() time.Time {
	next := n.upkeepAt
	if at, ok := n.inFlight.next(&n.inFlight.slow); ok && at.Add(n.inFlight.slowAfter()).Before(next) {
		next = at.Add(n.inFlight.slowAfter())
	}
	if at, ok := n.inFlight.next(&n.inFlight.dead); ok && at.Add(deadAfter).Before(next) {
		next = at.Add(deadAfter)
	}
	return next
}
