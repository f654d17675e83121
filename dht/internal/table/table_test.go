package table

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"spate/dht/internal/nodeid"
)

var start = time.Unix(1_700_000_000, 0)

// random returns a node with a random id at an address of its own network.
func random(rng *rand.Rand, network uint32) Node {
	var id ID
	for i := 0; i < len(id); i += 4 {
		binary.BigEndian.PutUint32(id[i:], rng.Uint32())
	}
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], 20<<24|network<<8|1+rng.Uint32N(250))
	return Node{ID: id, Addr: netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(1+rng.Uint32N(60000)))}
}

// check checks what holds for every table.
func check(t interface{ Fatalf(string, ...any) }, tab *Table) {
	n := 0
	ids, addrs := map[ID]bool{}, map[netip.AddrPort]bool{}
	for i, b := range tab.buckets {
		if len(b.live) > K || len(b.spare) > spares {
			t.Fatalf("bucket %d has %d nodes and %d spares", i, len(b.live), len(b.spare))
		}
		if len(b.live) < K && len(b.spare) > 0 && i == len(tab.buckets)-1 {
			t.Fatalf("the last bucket has spares and %d nodes", len(b.live))
		}
		for _, e := range append(slices.Clone(b.live), b.spare...) {
			if tab.index(e.ID) != i {
				t.Fatalf("node %x is in bucket %d instead of %d", e.ID, i, tab.index(e.ID))
			}
			if ids[e.ID] || e.ID == tab.self {
				t.Fatalf("node %x is in the table twice, or is the own id", e.ID)
			}
			ids[e.ID] = true
		}
		for _, e := range b.live {
			if addrs[e.Addr] {
				t.Fatalf("address %v is in the table twice", e.Addr)
			}
			addrs[e.Addr] = true
		}
		n += len(b.live)
	}
	if n != tab.Len() {
		t.Fatalf("Len returned %d for %d nodes", tab.Len(), n)
	}
}

// TestTable runs random operations on a table, and compares Closest with a sort of all nodes.
func TestTable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		tab, now := New(random(rng, 0).ID), start
		var known []Node
		pick := func() Node {
			if len(known) == 0 || rng.IntN(2) == 0 {
				n := random(rng, 1+rng.Uint32N(40))
				if rng.IntN(3) == 0 {
					n.ID = nodeid.WithPrefix(tab.self, rng.IntN(30), n.ID)
				}
				known = append(known, n)
			}
			n := known[rng.IntN(len(known))]
			if rng.IntN(20) == 0 {
				n.Addr = known[rng.IntN(len(known))].Addr
			}
			return n
		}
		failed := map[Node]bool{}
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			now = now.Add(time.Duration(rng.IntN(60)) * time.Second)
			switch n := pick(); rng.IntN(8) {
			case 0:
				tab.Failed(n)
				failed[n] = true
			case 1:
				tab.Queried(n, now)
			case 2:
				for _, d := range tab.Due(nil, now, 3) {
					if !tab.Contains(d) {
						t.Fatalf("Due returned %v, which is not in the table", d)
					}
				}
			case 3:
				if rng.IntN(20) == 0 {
					tab.Rebase(n.ID)
				}
			case 4:
				if rng.IntN(5) == 0 {
					tab.Remove(n.Addr)
					if _, ok := tab.IDOf(n.Addr); ok {
						t.Fatalf("Remove left %v", n)
					}
				}
			default:
				tab.Responded(n, now)
				failed[n] = false
			}
			check(t, tab)
		}
		target := pick().ID
		all := tab.Nodes(nil)
		slices.SortFunc(all, func(a, b Node) int { return nodeid.Compare(target, a.ID, b.ID) })
		most := rng.IntN(20)
		if got, want := tab.Closest(nil, target, most), all[:min(most, len(all))]; !slices.Equal(got, want) {
			t.Fatalf("Closest returned %v, want %v", got, want)
		}
	})
}

// TestOneNetworkDoesNotFillBucket checks that nodes of other networks replace those of a
// network that came first with many nodes.
func TestOneNetworkDoesNotFillBucket(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	tab := New(ID{0: 0x80})
	far := func(network uint32) Node {
		n := random(rng, network)
		n.ID[0] &= 0x7f
		return n
	}
	near := random(rng, 9)
	near.ID[0] |= 0x80
	tab.Responded(near, start)
	for range 200 {
		tab.Responded(far(1), start)
	}
	for i := range uint32(20) {
		tab.Responded(far(100+i), start)
	}
	of := map[[3]byte]int{}
	for _, e := range tab.buckets[0].live {
		ip := e.Addr.Addr().As4()
		of[[3]byte(ip[:3])]++
	}
	if len(of) != K {
		t.Errorf("the bucket has nodes of %d networks, want %d: %v", len(of), K, of)
	}
}

// TestOneAddressHasFewPlaces checks the bound on nodes with one public address. Local
// addresses have none, because the nodes of a test or a laboratory share one.
func TestOneAddressHasFewPlaces(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]int{"20.0.0.1": maxPerIP, "127.0.0.1": 20, "10.0.0.1": 20} {
		rng := rand.New(rand.NewPCG(1, 2))
		tab := New(ID{})
		for i := range 20 {
			n := random(rng, 1)
			n.ID[0] = byte(0x80 >> (i / 4)) // four in each bucket
			n.Addr = netip.AddrPortFrom(netip.MustParseAddr(host), uint16(1000+i))
			tab.Responded(n, start)
		}
		if tab.Len() != want {
			t.Errorf("the table has %d nodes at %s, want %d", tab.Len(), host, want)
		}
	}
}

// TestBadNodesAreReplaced checks that a spare node takes the place of a node that fails
// twice, that a failed node is not handed out, and that one without replacement goes after
// five failures.
func TestBadNodesAreReplaced(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	tab := New(ID{0: 0x80})
	near := random(rng, 99)
	near.ID[0] |= 0x80
	tab.Responded(near, start)
	var nodes []Node
	for i := range uint32(K + 1) {
		n := random(rng, i)
		n.ID[0] &= 0x7f
		nodes = append(nodes, n)
		tab.Responded(n, start)
	}
	if tab.Contains(nodes[K]) {
		t.Fatal("a full bucket took another node")
	}
	tab.Failed(nodes[0])
	if !tab.Contains(nodes[0]) || slices.Contains(tab.Closest(nil, nodes[0].ID, 20), nodes[0]) {
		t.Error("after one failure the node is removed or handed out")
	}
	tab.Failed(nodes[0])
	if tab.Contains(nodes[0]) || !tab.Contains(nodes[K]) {
		t.Error("after two failures the spare node has not replaced the bad one")
	}
	for range dropAfter - 1 {
		tab.Failed(near)
	}
	if !tab.Contains(near) {
		t.Error("a bad node without a replacement is removed early")
	}
	tab.Failed(near)
	if tab.Contains(near) {
		t.Error("a node stays after five failures")
	}
}

// TestKnownAddressIsKept checks that a second address does not take over the id of a node
// that still answers, and that another id at the same address replaces the old one.
func TestKnownAddressIsKept(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	tab := New(ID{})
	n := random(rng, 1)
	tab.Responded(n, start)
	stolen := n
	stolen.Addr = random(rng, 2).Addr
	tab.Responded(stolen, start.Add(time.Minute))
	if !tab.Contains(n) {
		t.Error("another address took over the id of a good node")
	}
	tab.Responded(stolen, start.Add(time.Hour))
	if !tab.Contains(stolen) {
		t.Error("the id of a silent node cannot move to its new address")
	}
	again := stolen
	again.ID = random(rng, 1).ID
	tab.Responded(again, start.Add(time.Hour))
	if tab.Contains(stolen) || !tab.Contains(again) || tab.Len() != 1 {
		t.Error("the table keeps two ids of one address")
	}
}

// TestDueAndRefresh checks which nodes are pinged and which buckets are refreshed.
func TestDueAndRefresh(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	tab := New(ID{})
	for i := range uint32(60) {
		tab.Responded(random(rng, i), start)
	}
	if due := tab.Due(nil, start.Add(GoodFor-1), 10); len(due) != 0 {
		t.Errorf("good nodes are due: %v", due)
	}
	later := start.Add(GoodFor)
	due := tab.Due(nil, later, 100)
	if len(due) != len(tab.buckets) {
		t.Errorf("%d nodes are due, want one for each of %d buckets", len(due), len(tab.buckets))
	}
	tab.Responded(due[0], later)
	if again := tab.Due(nil, later.Add(retryAfter), 100); slices.Contains(again, due[0]) || !slices.Contains(again, due[1]) {
		t.Errorf("after an answer of the first node these are due: %v", again)
	}
	free := random(rng, 0).ID
	for range tab.buckets {
		tab.Refresh(start, free)
	}
	if _, ok := tab.Refresh(start.Add(refreshEvery-1), free); ok {
		t.Error("a bucket is refreshed early")
	}
	for i := range tab.buckets {
		target, ok := tab.Refresh(start.Add(refreshFullEvery), free)
		if !ok || tab.index(target) != i {
			t.Errorf("the refresh of bucket %d has target %x (%v)", i, target, ok)
		}
	}
}

// BenchmarkClosest measures the search for the nodes of a reply.
func BenchmarkClosest(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	tab := New(random(rng, 0).ID)
	for i := range uint32(100_000) {
		tab.Responded(random(rng, i), start)
	}
	dst := make([]Node, 0, K)
	b.ReportAllocs()
	for b.Loop() {
		dst = tab.Closest(dst[:0], random(rng, 0).ID, K)
	}
}
