package node

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"spate/dht/internal/itemstore"
	"spate/dht/internal/krpc"
	"spate/dht/internal/limit"
	"spate/dht/internal/nodeid"
)

var stranger = netip.MustParseAddrPort("203.0.113.7:6881")

// loaded returns a node of both families whose tables are full, which stores 200 peers of each
// family for the info-hash and a large item under the same target.
func loaded(t testing.TB) (n *Node, target ID) {
	t.Helper()
	n, err := New(simStart, Options{IPv4: true, IPv6: true, Random: rand.NewPCG(1, 2), Version: "Sp\x01\x00"})
	if err != nil {
		t.Fatal(err)
	}
	item := itemstore.Item{Value: []byte("990:" + strings.Repeat("x", 990))}
	target = item.Target()
	for _, f := range n.families {
		f.boot.running = false
		for i := range 400 {
			a := netip.AddrFrom4([4]byte{20, byte(i), byte(i >> 8), 1})
			p := netip.AddrFrom4([4]byte{30, byte(i), byte(i >> 8), 1})
			if f.v6 {
				a = netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 4: byte(i), 5: byte(i >> 8), 15: 1})
				p = netip.AddrFrom16([16]byte{0: 0x20, 1: 2, 4: byte(i), 5: byte(i >> 8), 15: 1})
			}
			f.table.Responded(Contact{ID: n.randomID(), Addr: netip.AddrPortFrom(a, 6881)}, simStart)
			if i < 200 {
				if err := f.peers.Announce(simStart, target, netip.AddrPortFrom(p, 6881), i%2 == 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := f.items.Put(simStart, stranger.Addr(), &item, nil); err != nil {
			t.Fatal(err)
		}
	}
	return n, target
}

// ask passes a query of a stranger to a node, and returns the size of the query and of all
// packets to the stranger, and the reply.
func ask(t testing.TB, n *Node, from netip.AddrPort, q krpc.Message) (in, out int, reply krpc.Message) {
	t.Helper()
	q.Kind, q.TID = krpc.Query, []byte("abcd")
	if q.ID == (ID{}) {
		q.ID = n.randomID()
	}
	packet := q.Append(nil)
	n.Handle(simStart, Packet{Addr: from, Data: packet})
	for _, p := range n.Packets() {
		if p.Addr != from {
			t.Errorf("a packet goes to %v", p.Addr)
		}
		out += len(p.Data)
		var m krpc.Message
		if err := krpc.NewParser().Parse(&m, append([]byte(nil), p.Data...)); err != nil {
			t.Fatal(err)
		}
		if m.Kind != krpc.Query {
			reply = m
		}
	}
	return len(packet), out, reply
}

// TestLittleGoesToUnprovedAddress checks that at most four bytes go out for each byte of a
// query, of every method and with every option, to an address that has not proved itself, and
// that a proved one gets more.
func TestLittleGoesToUnprovedAddress(t *testing.T) {
	t.Parallel()
	from6 := netip.MustParseAddrPort("[2001:db8::7]:6881")
	for _, from := range []netip.AddrPort{stranger, from6} {
		for method := krpc.Unknown; method <= krpc.SampleInfohashes; method++ {
			for bits := range 16 {
				n, target := loaded(t)
				q := krpc.Message{Method: method, Target: target, HasTarget: method != krpc.Ping, Want: krpc.Want(bits & 3), Scrape: bits&4 != 0, ReadOnly: bits&8 != 0}
				if method == krpc.AnnouncePeer || method == krpc.Put {
					q.Token, q.Port, q.Value = []byte("token"), 1, []byte("i1e")
				}
				q.ID = nodeid.WithPrefix(n.family(from.Addr()).id, 30, n.randomID()) // the table has a place for it
				in, out, _ := ask(t, n, from, q)
				if out > 4*in || out == 0 {
					t.Errorf("%v %v, options %x: %d bytes went out for %d", from, method, bits, out, in)
				}
				n.proved.Add(simStart, from)
				_, more, _ := ask(t, n, from, q)
				if grows := method == krpc.GetPeers || method == krpc.Get; more > maxItemReply || grows && more <= out {
					t.Errorf("%v %v, options %x: %d bytes went to a proved address after %d", from, method, bits, more, out)
				}
			}
		}
	}
}

// forgedPackets returns queries of every method in many lengths, and packets that are shorter than
// any valid query.
func forgedPackets(id, target ID) (packets [][]byte) {
	for _, s := range []string{"d1:t0:1:y1:qe", "d1:q0:1:t0:1:y1:qe", "d1:q4:ping1:t2:aa1:y1:qe", "d1:ade1:t0:1:y1:qe", "d1:rd2:id20:mnopqrstuvwxyz123456e1:t0:1:y1:qe"} {
		packets = append(packets, []byte(s))
	}
	for method := krpc.Unknown; method <= krpc.SampleInfohashes; method++ {
		for bits := range 64 {
			q := krpc.Message{Kind: krpc.Query, Method: method, ID: id, Want: krpc.Want(bits & 3), Scrape: bits&4 != 0, NoSeed: bits&8 != 0, ReadOnly: bits&16 != 0}
			if q.HasTarget = method != krpc.Ping && bits&32 == 0; q.HasTarget {
				q.Target = target
			}
			for _, n := range []int{0, 1, 4, krpc.MaxTID, krpc.MaxTID + 1} {
				q.TID = make([]byte, n)
				for _, token := range [][]byte{nil, {}, make([]byte, krpc.MaxToken)} {
					q.Token, q.Port, q.Value = token, uint16(len(token)), []byte("i1e")
					for _, padding := range [][]byte{nil, make([]byte, 100), make([]byte, 900)} {
						q.Version = padding
						packets = append(packets, q.Append(nil))
					}
				}
			}
		}
	}
	return packets
}

// TestForgedAddressGetsLittle checks that at most four bytes go to an address for each byte that
// came from there, whatever the queries are and however often they come: replies, and the pings
// that ask whether the sender is there, count together.
func TestForgedAddressGetsLittle(t *testing.T) {
	t.Parallel()
	n, target := loaded(t)
	now := simStart
	in, out, pings := map[netip.AddrPort]int{}, map[netip.AddrPort]int{}, 0
	for i, packet := range forgedPackets(nodeid.WithPrefix(n.families[0].id, 30, ID{1}), target) {
		host := [16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 8), byte(i)}
		from := netip.AddrPortFrom(netip.AddrFrom16(host), 6881)
		if i%2 == 0 {
			from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{90, byte(i >> 8), byte(i), 1}), 6881)
		}
		for range 3 {
			before := n.Stats().QueriesOut
			n.Handle(now, Packet{Addr: from, Data: packet})
			in[from] += len(packet)
			pings += int(n.Stats().QueriesOut - before)
			n.Tick(now)
			for _, p := range n.Packets() {
				out[p.Addr] += len(p.Data)
			}
			now = now.Add(50 * time.Millisecond)
		}
		if out[from] > 4*in[from] {
			t.Errorf("%d bytes went out for %d bytes of three queries %q", out[from], in[from], packet)
		}
		if krpc.NewParser().Parse(new(krpc.Message), packet) == nil && out[from] == 0 {
			t.Errorf("a valid query got no reply: %q", packet)
		}
	}
	for range 100 { // nothing is sent again later
		now = now.Add(time.Second)
		n.Tick(now)
		for _, p := range n.Packets() {
			if out[p.Addr] += len(p.Data); in[p.Addr] > 0 {
				t.Errorf("%d bytes went to %v without a query", len(p.Data), p.Addr)
			}
		}
	}
	if pings < 100 {
		t.Errorf("%d senders were asked whether they are there", pings)
	}
}

// TestReplyHasPeersAndNodes checks what a reply has for an address that has not proved itself.
func TestReplyHasPeersAndNodes(t *testing.T) {
	t.Parallel()
	n, target := loaded(t)
	for _, from := range []netip.AddrPort{stranger, netip.MustParseAddrPort("[2001:db8::7]:6881")} {
		_, _, r := ask(t, n, from, krpc.Message{Method: krpc.GetPeers, Target: target, HasTarget: true})
		if peers := r.AppendPeers(nil, 100); len(peers) < 5 || len(r.Token) == 0 || len(r.Nodes)+len(r.Nodes6) < 2*krpc.NodeLen4 || r.External != from {
			t.Errorf("the reply has %d peers and is %+v", len(peers), r)
		}
	}
	_, _, r := ask(t, n, stranger, krpc.Message{Method: krpc.FindNode, Target: target, HasTarget: true})
	if len(r.Nodes) < 8*krpc.NodeLen4 || r.Nodes6 != nil {
		t.Errorf("the reply to find_node is %+v", r)
	}
	_, _, r = ask(t, n, stranger, krpc.Message{Method: krpc.SampleInfohashes, Target: target, HasTarget: true})
	if string(r.Samples) != string(target[:]) || r.Num != 1 || r.Interval <= 0 {
		t.Errorf("the reply to sample_infohashes is %+v", r)
	}
}

// TestLocalNodesStayAmongThemselves checks that a reply names nodes of the local network to others there,
// and not to strangers.
func TestLocalNodesStayAmongThemselves(t *testing.T) {
	t.Parallel()
	n, err := New(simStart, Options{IPv4: true, Random: rand.NewPCG(1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"192.168.1.5:6881", "198.51.100.5:6881"} {
		n.families[0].table.Responded(Contact{ID: n.randomID(), Addr: netip.MustParseAddrPort(a)}, simStart)
	}
	for from, want := range map[string]int{"192.168.1.6:6881": 2, "203.0.113.7:6881": 1} {
		_, _, r := ask(t, n, netip.MustParseAddrPort(from), krpc.Message{Method: krpc.FindNode, Target: ID{1}, HasTarget: true, ReadOnly: true})
		if got := len(r.Nodes) / krpc.NodeLen4; got != want {
			t.Errorf("the reply to %s names %d nodes, want %d", from, got, want)
		}
	}
}

// TestReplyGoesOutFromAskedAddress checks that the reply, and the ping that asks whether the sender is
// there, have the address as their source that the query was sent to, and that other packets leave
// the source to the system.
func TestReplyGoesOutFromAskedAddress(t *testing.T) {
	t.Parallel()
	n, target := loaded(t)
	asked := netip.MustParseAddr("198.51.100.2")
	for _, q := range []krpc.Message{{Method: krpc.GetPeers}, {Method: krpc.Get}} { // the item is too large, so that a ping comes first
		q.Kind, q.TID, q.Target, q.HasTarget, q.ID = krpc.Query, []byte("ab"), target, true, nodeid.WithPrefix(n.families[0].id, 30, ID{1})
		n.Handle(simStart, Packet{Addr: stranger, Local: asked, Data: q.Append(nil)})
		list := n.Packets()
		if len(list) == 0 {
			t.Errorf("%v was not answered", q.Method)
		}
		for _, p := range list {
			if p.Local != asked {
				t.Errorf("a packet after %v goes out from %v", q.Method, p.Local)
			}
		}
	}
	n.ping(simStart, n.families[0], Contact{Addr: stranger})
	if p := n.Packets(); len(p) != 1 || p[0].Local.IsValid() {
		t.Errorf("a ping without a query is %+v", p)
	}
}

// TestErrors checks the codes of errors, and that nothing answers what is not a query.
func TestErrors(t *testing.T) {
	t.Parallel()
	n, target := loaded(t)
	for _, c := range []struct {
		q    krpc.Message
		code int64
	}{
		{krpc.Message{Method: krpc.AnnouncePeer, Target: target, HasTarget: true, Token: []byte("bad"), Port: 1}, krpc.CodeProtocol},
		{krpc.Message{Method: krpc.Put, Token: []byte("bad"), Value: []byte("i1e")}, krpc.CodeProtocol},
		{krpc.Message{Method: krpc.Unknown}, krpc.CodeMethod},
	} {
		if _, _, r := ask(t, n, stranger, c.q); r.Kind != krpc.Error || r.Code != c.code {
			t.Errorf("the reply to %v is %+v, want the code %d", c.q.Method, r, c.code)
		}
	}
	n.Handle(simStart, Packet{Addr: stranger, Data: []byte("d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe")})
	n.Handle(simStart, Packet{Addr: stranger, Data: []byte("d1:q4:ping1:t2:aa1:y1:q1:ad2:id3:abcee")})
	if p := n.Packets(); len(p) != 1 || !strings.Contains(string(p[0].Data), "i203e") {
		t.Errorf("a malformed query was answered with %q", p)
	}
	for _, packet := range []string{"", "d1:eli201e1:xe1:t2:aa1:y1:ee", "d1:rd2:id20:mnopqrstuvwxyz123456e1:t4:aaaa1:y1:re"} {
		n.Handle(simStart, Packet{Addr: stranger, Data: []byte(packet)})
		if p := n.Packets(); len(p) != 0 {
			t.Errorf("%q was answered with %q", packet, p)
		}
	}
}

// TestTokenAllowsAnnounce checks that a token of a reply allows announces and puts from that
// address for ten minutes, and from no other.
func TestTokenAllowsAnnounce(t *testing.T) {
	t.Parallel()
	n, _ := loaded(t)
	_, _, r := ask(t, n, stranger, krpc.Message{Method: krpc.GetPeers, Target: ID{1}, HasTarget: true})
	token := append([]byte(nil), r.Token...)
	announce := krpc.Message{Method: krpc.AnnouncePeer, Target: ID{1}, HasTarget: true, Token: token, Port: 99, ImpliedPort: true}
	if _, _, r := ask(t, n, netip.MustParseAddrPort("203.0.113.8:6881"), announce); r.Code != krpc.CodeProtocol {
		t.Errorf("another address used the token: %+v", r)
	}
	if _, _, r := ask(t, n, stranger, announce); r.Kind != krpc.Response {
		t.Fatalf("the announce was answered with %+v", r)
	}
	_, _, r = ask(t, n, stranger, krpc.Message{Method: krpc.GetPeers, Target: ID{1}, HasTarget: true})
	if peers := r.AppendPeers(nil, 9); len(peers) != 1 || peers[0] != stranger {
		t.Errorf("the peers are %v, want %v because the port is implied", peers, stranger)
	}
	if _, _, r := ask(t, n, stranger, krpc.Message{Method: krpc.Put, Token: token, Value: []byte("i7e")}); r.Kind != krpc.Response {
		t.Errorf("the put was answered with %+v", r)
	}
}

// TestFloodIsLimited checks that an address gets a limited number of replies, and that others
// get theirs meanwhile.
func TestFloodIsLimited(t *testing.T) {
	t.Parallel()
	n, target := loaded(t)
	replies := 0
	for range 10 * addressRate.Burst {
		if _, out, _ := ask(t, n, stranger, krpc.Message{Method: krpc.GetPeers, Target: target, HasTarget: true, ReadOnly: true}); out > 0 {
			replies++
		}
	}
	if replies > addressRate.Burst || n.Stats().Limited == 0 {
		t.Errorf("one address got %d replies at once", replies)
	}
	if _, out, _ := ask(t, n, netip.MustParseAddrPort("198.51.100.1:1"), krpc.Message{Method: krpc.Ping}); out == 0 {
		t.Error("another address got no reply")
	}
}

// TestReadOnlyNodeIsSilent checks that a read-only node marks its queries, and answers nothing
// but the ping of a node that it asked (BEP 43), and that read-only senders are not met.
func TestReadOnlyNodeIsSilent(t *testing.T) {
	t.Parallel()
	n, err := New(simStart, Options{IPv4: true, ReadOnly: true, Random: rand.NewPCG(1, 2), Known: []netip.AddrPort{stranger}})
	if err != nil {
		t.Fatal(err)
	}
	if _, out, _ := ask(t, n, stranger, krpc.Message{Method: krpc.Ping}); out != 0 {
		t.Error("a read-only node answered a ping")
	}
	n.Tick(simStart)
	if p := n.Packets(); len(p) != 1 || !strings.Contains(string(p[0].Data), "2:roi1e") {
		t.Errorf("the first packets are %q", p)
	}
	if _, out, _ := ask(t, n, stranger, krpc.Message{Method: krpc.Ping}); out == 0 {
		t.Error("a read-only node did not answer the ping of a node that it asked")
	}
	if _, out, _ := ask(t, n, stranger, krpc.Message{Method: krpc.FindNode, Target: ID{1}, HasTarget: true}); out != 0 {
		t.Error("a read-only node answered find_node")
	}
	full, _ := loaded(t)
	near := nodeid.WithPrefix(full.families[0].id, 30, full.randomID())
	before := full.Stats().QueriesOut
	ask(t, full, stranger, krpc.Message{Method: krpc.Ping, ID: near, ReadOnly: true})
	if full.Stats().QueriesOut != before {
		t.Error("a read-only node was met")
	}
	ask(t, full, stranger, krpc.Message{Method: krpc.Ping, ID: near})
	if full.Stats().QueriesOut == before {
		t.Error("a node that fits the table was not met")
	}
}

// TestExternalAddressChangesID checks that a node takes an id that BEP 42 allows once nodes of
// several networks agree about its address, and that one network cannot change it.
func TestExternalAddressChangesID(t *testing.T) {
	t.Parallel()
	n, _ := loaded(t)
	f := n.families[0]
	own := netip.MustParseAddrPort("198.51.100.20:7000")
	before := f.id
	for i := range byte(20) {
		n.observe(simStart, f, netip.AddrFrom4([4]byte{40, 1, 1, i}), netip.MustParseAddrPort("198.51.100.99:1"))
		n.observe(simStart, f, netip.AddrFrom4([4]byte{byte(50 + i), 1, 1, 1}), own)
	}
	if f.id == before || !nodeid.Valid(f.id, own.Addr()) || f.table.Self() != f.id {
		t.Errorf("the id is %x, valid: %v", f.id, nodeid.Valid(f.id, own.Addr()))
	}
	if got := n.Status(simStart)[0].External; got != own {
		t.Errorf("the external address is %v, want %v", got, own)
	}
}

// TestFirstNodeStartsWhenAnotherComes checks that a node that has waited alone for long is usable as
// soon as another node asks it.
func TestFirstNodeStartsWhenAnotherComes(t *testing.T) {
	t.Parallel()
	w := newInternet(t, 7)
	w.loss = 0
	first := w.join(honest, Options{})
	w.run(20*time.Minute, nil)
	second := w.join(honest, Options{Known: []netip.AddrPort{first.addr}})
	usable := func() bool { return first.Status(w.now)[0].Usable && second.Status(w.now)[0].Usable }
	if !w.run(3*time.Second, usable) {
		t.Errorf("after three seconds the nodes are %+v and %+v", first.Status(w.now), second.Status(w.now))
	}
}

// TestSilentNetworkDoesNotEmptyTable checks that nodes stay in the table while none answers,
// because then the own connection is at fault.
func TestSilentNetworkDoesNotEmptyTable(t *testing.T) {
	t.Parallel()
	n, _ := loaded(t)
	before := n.families[0].table.Len()
	now := simStart
	for range 1000 {
		now = now.Add(5 * time.Second)
		n.Tick(now)
		n.Packets()
	}
	if after := n.families[0].table.Len(); after != before {
		t.Errorf("the table has %d nodes after an outage, %d before", after, before)
	}
	if len(n.inFlight.byTID) > 100 || len(n.inFlight.dead.list) > 1000 {
		t.Errorf("%d queries wait, the queue has %d", len(n.inFlight.byTID), len(n.inFlight.dead.list))
	}
}

// TestHandleAllocatesLittle checks that a reply to get_peers allocates nothing, and that Bloom
// filters for which the reply has no room are not made.
func TestHandleAllocatesLittle(t *testing.T) {
	n, target := loaded(t)
	from := netip.MustParseAddrPort("127.0.0.1:6881") // loopback has no limit
	q := krpc.Message{Kind: krpc.Query, TID: []byte("ab"), Method: krpc.GetPeers, ID: ID{1}, Target: target, HasTarget: true, ReadOnly: true, Scrape: true}
	packet := q.Append(nil)
	if got := testing.AllocsPerRun(200, func() {
		n.Handle(simStart, Packet{Addr: from, Data: packet})
		n.Packets()
	}); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

// BenchmarkGetPeers measures a reply to get_peers.
func BenchmarkGetPeers(b *testing.B) {
	n, target := loaded(b)
	from := netip.MustParseAddrPort("127.0.0.1:6881")
	n.proved.Add(simStart, from)
	q := krpc.Message{Kind: krpc.Query, TID: []byte("ab"), Method: krpc.GetPeers, ID: ID{1}, Target: target, HasTarget: true, ReadOnly: true}
	packet := q.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		n.Handle(simStart, Packet{Addr: from, Data: packet})
		if len(n.Packets()[0].Data) > limit.MaxPacket {
			b.Fatal("too large")
		}
	}
}
