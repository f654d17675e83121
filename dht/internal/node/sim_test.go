package node

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"spate/dht/internal/krpc"
	"spate/dht/internal/nodeid"
)

// kind is the behaviour of a simulated node.
type kind uint8

const (
	honest   kind = iota
	insecure      // honest, with an id that BEP 42 does not allow
	behind        // behind a NAT that passes only packets from addresses that the node wrote to
	readOnly      // BEP 43
	silent        // receives and never answers
	lying         // answers with ids close to each target, with invented nodes and peers
	gone          // has left the network
	kinds
)

// host is a node of the simulated internet.
type host struct {
	*Node
	addr  netip.AddrPort
	kind  kind
	wrote map[netip.AddrPort]time.Time // for a node behind a NAT
	tick  time.Time                    // when its next tick is planned
}

// event is the arrival of a packet, or a tick.
type event struct {
	at     time.Time
	seq    int
	to     *host
	toAddr netip.AddrPort
	from   netip.AddrPort
	packet []byte
	do     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any     { old := *e; x := old[len(old)-1]; *e = old[:len(old)-1]; return x }

// internet is a simulated internet: a queue of packets in order of their arrival. Everything
// random comes from one seed.
type internet struct {
	t     testing.TB
	rng   *rand.Rand
	now   time.Time
	hosts []*host
	by    map[netip.AddrPort]*host
	queue events
	seq   int
	loss  float64
	quiet bool     // settled nodes do no upkeep
	free  [][]byte // buffers of packets that have arrived
	sent  int
	liar  krpc.Parser
}

var simStart = time.Unix(1_700_000_000, 0)

func newInternet(t testing.TB, seed uint64) *internet {
	return &internet{t: t, rng: rand.New(rand.NewPCG(seed, 42)), now: simStart, by: map[netip.AddrPort]*host{}, loss: 0.01, liar: *krpc.NewParser()}
}

// address returns an unused public address.
func (w *internet) address() netip.AddrPort {
	for {
		ip := netip.AddrFrom4([4]byte{byte(20 + w.rng.IntN(60)), byte(w.rng.Uint32()), byte(w.rng.Uint32()), byte(1 + w.rng.IntN(250))})
		a := netip.AddrPortFrom(ip, uint16(1024+w.rng.IntN(60000)))
		if w.by[a] == nil {
			return a
		}
	}
}

// join adds a node with the given options at a free address. It starts at the next tick.
func (w *internet) join(k kind, o Options) *host {
	o.IPv4, o.Random = true, rand.NewPCG(w.rng.Uint64(), w.rng.Uint64())
	o.ReadOnly = o.ReadOnly || k == readOnly
	o.MaxPeers, o.Addresses = 2000, 64
	n, err := New(w.now, o)
	if err != nil {
		w.t.Fatal(err)
	}
	h := &host{Node: n, addr: w.address(), kind: k}
	if k == behind {
		h.wrote = map[netip.AddrPort]time.Time{}
	}
	w.hosts = append(w.hosts, h)
	w.by[h.addr] = h
	w.plan(h)
	return h
}

// settled adds a node that has been in the network for long: it has the id that BEP 42 allows.
func (w *internet) settled(k kind) *host {
	h := w.join(k, Options{})
	f := h.families[0]
	if k != insecure && k != lying {
		h.setID(w.now, f, nodeid.Make(h.addr.Addr(), h.randomID()))
	}
	f.boot.running, f.boot.done = false, true
	f.boot.retryAt = w.now.Add(time.Hour)
	h.upkeepAt = w.now.Add(time.Duration(w.rng.Int64N(int64(upkeepEvery))))
	if w.quiet {
		h.upkeepAt = w.now.Add(24 * time.Hour)
	}
	return h
}

// fill gives the settled nodes the routing tables that they would have: the nodes next to
// them in the order of ids, and random ones.
func (w *internet) fill() {
	var all []Contact
	for _, h := range w.hosts {
		if h.kind == honest || h.kind == insecure || h.kind == lying || h.kind == gone {
			all = append(all, Contact{ID: h.families[0].id, Addr: h.addr})
		}
	}
	slices.SortFunc(all, func(a, b Contact) int { return nodeid.Compare(ID{}, a.ID, b.ID) })
	for _, h := range w.hosts {
		f := h.families[0]
		add := func(c Contact) {
			if c.Addr != h.addr {
				f.table.Responded(c, w.now.Add(-time.Duration(w.rng.Int64N(int64(10*time.Minute)))))
			}
		}
		at, _ := slices.BinarySearchFunc(all, f.id, func(c Contact, id ID) int { return nodeid.Compare(ID{}, c.ID, id) })
		for i := max(at-12, 0); i < min(at+12, len(all)); i++ {
			add(all[i])
		}
		for range 120 {
			add(all[w.rng.IntN(len(all))])
		}
	}
}

// plan plans the next tick of a host.
func (w *internet) plan(h *host) {
	at := h.Next()
	if at.Before(w.now) {
		at = w.now
	}
	if h.tick.IsZero() || at.Before(h.tick) {
		h.tick = at
		w.push(event{at: at, to: h})
	}
}

func (w *internet) push(e event) {
	w.seq++
	e.seq = w.seq
	heap.Push(&w.queue, e)
}

// flush sends the packets of a host.
func (w *internet) flush(h *host) {
	for _, p := range h.Packets() {
		w.carry(h, p.Addr, p.Data)
	}
	w.plan(h)
}

func (w *internet) carry(h *host, to netip.AddrPort, data []byte) {
	w.sent++
	if h.wrote != nil {
		h.wrote[to] = w.now
	}
	if w.rng.Float64() < w.loss {
		return
	}
	var buf []byte
	if n := len(w.free); n > 0 {
		buf, w.free = w.free[n-1], w.free[:n-1]
	}
	delay := 10*time.Millisecond + time.Duration(w.rng.Int64N(int64(90*time.Millisecond)))
	w.push(event{at: w.now.Add(delay), to: w.by[to], toAddr: to, from: h.addr, packet: append(buf[:0], data...)})
}

// run handles events until a condition holds or the time is over. It reports whether the
// condition holds.
func (w *internet) run(most time.Duration, until func() bool) bool {
	end := w.now.Add(most)
	for {
		if until != nil && until() {
			return true
		}
		if len(w.queue) == 0 || w.queue[0].at.After(end) {
			w.now = end
			return false
		}
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		switch h := e.to; {
		case e.do != nil:
			e.do()
		case e.packet != nil:
			w.deliver(&e)
			w.free = append(w.free, e.packet)
		case h.kind == gone:
		case h.tick.Equal(e.at):
			h.tick = time.Time{}
			h.Tick(w.now)
			w.flush(h)
		}
	}
}

// deliver passes a packet to its host, as the kind of the host allows.
func (w *internet) deliver(e *event) {
	h := e.to
	if h == nil || h.kind == silent || h.kind == gone {
		return
	}
	if h.kind == behind && w.now.Sub(h.wrote[e.from]) > time.Minute {
		return
	}
	if h.kind == lying && w.lie(h, e) {
		return
	}
	h.Handle(w.now, Packet{Addr: e.from, Data: e.packet})
	w.flush(h)
}

// lie answers a query for a target with an id next to the target, invented nodes next to it
// and invented peers.
func (w *internet) lie(h *host, e *event) bool {
	var m krpc.Message
	if w.liar.Parse(&m, e.packet) != nil || m.Kind != krpc.Query || !m.HasTarget {
		return false
	}
	out := krpc.Message{Kind: krpc.Response, TID: m.TID, ID: nodeid.WithPrefix(m.Target, 100, h.randomID()), Token: []byte("x")}
	for range 8 {
		out.Nodes = krpc.AppendNode(out.Nodes, Contact{ID: nodeid.WithPrefix(m.Target, 90, h.randomID()), Addr: w.address()})
	}
	if m.Method == krpc.GetPeers {
		for range 50 {
			out.Values = krpc.AppendValue(out.Values, netip.MustParseAddrPort("66.6.6.6:666"))
		}
	}
	w.carry(h, e.from, out.Append(nil))
	return true
}

// closest returns the n honest nodes closest to a target.
func (w *internet) closest(target ID, n int) (list []Contact) {
	for _, h := range w.hosts {
		id := h.families[0].id
		if h.kind != honest || len(list) == n && nodeid.Compare(target, id, list[n-1].ID) > 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(list, id, func(c Contact, id ID) int { return nodeid.Compare(target, c.ID, id) })
		list = slices.Insert(list, at, Contact{ID: id, Addr: h.addr})
		list = list[:min(n, len(list))]
	}
	return list
}

// search runs a search of a host to its end.
func (w *internet) search(h *host, r Request) *Search {
	var done bool
	r.Done = func(*Search) { done = true }
	s := h.Search(w.now, r)
	w.flush(h)
	if !w.run(5*time.Minute, func() bool { return done }) {
		w.t.Fatalf("the search does not end: %+v", s)
	}
	return s
}

// world returns a settled internet of size nodes: 55 % honest, 15 % of other programs without
// BEP 42, 10 % behind NATs, 5 % each read-only, silent, lying and gone.
func world(t testing.TB, seed uint64, size int) *internet {
	w := newInternet(t, seed)
	share := [kinds]int{honest: 55, insecure: 15, behind: 10, readOnly: 5, silent: 5, lying: 5, gone: 5}
	for k, percent := range share {
		for range size * percent / 100 {
			w.settled(kind(k))
		}
	}
	w.fill()
	return w
}

// some returns a random honest host.
func (w *internet) some() *host {
	for {
		if h := w.hosts[w.rng.IntN(len(w.hosts))]; h.kind == honest {
			return h
		}
	}
}

// TestInternet10000 runs a network of 10,000 nodes with loss, churn and nodes of all kinds. A
// new node starts from bootstrap nodes, an announce reaches the closest nodes, another node
// finds the peer, and a node starts again from the nodes of its last run.
func TestInternet10000(t *testing.T) {
	t.Parallel()
	w := world(t, 1, 10_000)
	var routers []netip.AddrPort
	for range 4 {
		routers = append(routers, w.some().addr)
	}
	began := w.now
	first := w.join(honest, Options{Bootstrap: routers})
	usable := func(h *host) func() bool {
		return func() bool { return h.Status(w.now)[0].Usable }
	}
	if !w.run(time.Minute, usable(first)) {
		t.Fatalf("the first start does not end: %+v", first.Status(w.now))
	}
	firstStart := w.now.Sub(began)
	if firstStart >= 10*time.Second {
		t.Errorf("the first start took %v", firstStart)
	}
	target := first.randomID()
	announced := w.search(first, Request{Method: krpc.GetPeers, Target: target, Announce: &Announcement{Port: 7000}})
	stored := 0
	for _, c := range w.closest(target, 8) {
		if w.by[c.Addr].families[0].peers.Hashes() > 0 {
			stored++
		}
	}
	if stored < 7 {
		t.Errorf("%d of the 8 closest nodes store the peer", stored)
	}
	peer := netip.AddrPortFrom(first.addr.Addr(), 7000)
	var queries []int
	for range 20 {
		s := w.search(w.some(), Request{Method: krpc.GetPeers, Target: target})
		if !slices.Contains(s.Peers, peer) {
			t.Errorf("a search with %d queries found %d peers, but not the announced one", s.Queries, len(s.Peers))
		}
		queries = append(queries, s.Queries)
	}
	slices.Sort(queries)
	// Half of the known nodes have left when the node starts again.
	var saved []netip.AddrPort
	for _, c := range first.Contacts() {
		saved = append(saved, c.Addr)
		if h := w.by[c.Addr]; w.rng.IntN(2) == 0 && h != nil {
			h.kind = gone
		}
	}
	began = w.now
	again := w.join(honest, Options{Known: saved, Bootstrap: routers})
	if !w.run(time.Minute, usable(again)) {
		t.Fatal("the second start does not end")
	}
	secondStart := w.now.Sub(began)
	if secondStart >= 2*time.Second {
		t.Errorf("the second start took %v", secondStart)
	}
	if s := w.search(again, Request{Method: krpc.GetPeers, Target: target}); !slices.Contains(s.Peers, peer) {
		t.Errorf("after the second start a search with %d queries found %v", s.Queries, s.Peers)
	}
	t.Logf("first start %v, second %v with %d saved nodes; announce %d queries, %d written; searches %v queries; %d packets",
		firstStart, secondStart, len(saved), announced.Queries, announced.Written, queries, w.sent)
}
