package lookup

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"spate/dht/internal/nodeid"
)

// network is a simulated network in which each node knows nodes close to it and some others.
type network struct {
	rng   *rand.Rand
	nodes []Node
	by    map[netip.AddrPort]int
}

func randomID(rng *rand.Rand) (id ID) {
	for i := 0; i < len(id); i += 4 {
		binary.BigEndian.PutUint32(id[i:], rng.Uint32())
	}
	return id
}

// newNetwork returns a network of n nodes at public addresses with ids that BEP 42 allows.
func newNetwork(seed uint64, n int) *network {
	w := &network{rng: rand.New(rand.NewPCG(seed, 9)), by: map[netip.AddrPort]int{}}
	for len(w.nodes) < n {
		ip := netip.AddrFrom4([4]byte{20, byte(w.rng.Uint32()), byte(w.rng.Uint32()), byte(w.rng.Uint32())})
		a := netip.AddrPortFrom(ip, 6881)
		if _, ok := w.by[a]; !ok {
			w.by[a] = len(w.nodes)
			w.nodes = append(w.nodes, Node{ID: nodeid.Make(ip, randomID(w.rng)), Addr: a})
		}
	}
	return w
}

// closest returns the n nodes closest to target, as a perfect network would.
func (w *network) closest(target ID, n int) []Node {
	all := slices.Clone(w.nodes)
	slices.SortFunc(all, func(a, b Node) int { return nodeid.Compare(target, a.ID, b.ID) })
	return all[:min(n, len(all))]
}

// reply returns what a node with a full routing table would name: the closest nodes to the
// target among those in the bucket of the target.
func (w *network) reply(from Node, target ID) []Node {
	bits := nodeid.CommonBits(from.ID, target)
	var in []Node
	for _, n := range w.nodes {
		if nodeid.CommonBits(n.ID, target) > bits {
			in = append(in, n)
		}
	}
	w.rng.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
	if len(in) < 8 {
		return w.closest(target, 8)
	}
	return in[:8]
}

func addrs(found []Result) (out []Node) {
	for _, r := range found {
		out = append(out, r.Node)
	}
	return out
}

// run runs a lookup to its end. answer returns the id and the nodes of a reply, or false if
// the node does not answer.
func run(t interface{ Fatalf(string, ...any) }, l *Lookup, answer func(Node) (ID, []Node, bool)) {
	for steps := 0; ; steps++ {
		if steps > 10*MaxQueries {
			t.Fatalf("the lookup does not end")
		}
		var batch []Node
		for {
			n, ok := l.Next()
			if !ok {
				break
			}
			batch = append(batch, n)
		}
		if len(batch) == 0 && l.Done() {
			return
		}
		if len(batch) == 0 {
			t.Fatalf("the lookup neither asks nor ends: %+v", l)
		}
		for _, n := range batch {
			if id, nodes, ok := answer(n); ok {
				l.Answered(n.Addr, id, []byte("token"), nodes)
			} else {
				l.Failed(n.Addr)
			}
		}
		if len(l.list) > MaxCandidates || l.Queries() > MaxQueries {
			t.Fatalf("%d candidates, %d queries", len(l.list), l.Queries())
		}
	}
}

// TestLookupFindsClosest checks that a lookup ends at the closest nodes.
func TestLookupFindsClosest(t *testing.T) {
	t.Parallel()
	w := newNetwork(1, 2000)
	for range 20 {
		target := randomID(w.rng)
		l := New(randomID(w.rng), target)
		l.Start(w.nodes[:8])
		run(t, l, func(n Node) (ID, []Node, bool) { return n.ID, w.reply(n, target), true })
		if got, want := addrs(l.Closest()), w.closest(target, K); !slices.Equal(got, want) {
			t.Errorf("the lookup ended at %v, want %v", got, want)
		}
		if l.Queries() > 60 {
			t.Errorf("the lookup sent %d queries", l.Queries())
		}
	}
}

// TestInventedNodesDoNotEndLookup checks that nodes with chosen ids close to the target, at
// addresses that BEP 42 does not allow for them, neither end a lookup nor keep it from the
// honest nodes.
func TestInventedNodesDoNotEndLookup(t *testing.T) {
	t.Parallel()
	w := newNetwork(2, 1000)
	target := randomID(w.rng)
	evil := func() (nodes []Node) {
		for range 16 {
			a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{66, byte(w.rng.Uint32()), byte(w.rng.Uint32()), 1}), 1)
			nodes = append(nodes, Node{ID: nodeid.WithPrefix(target, 60, randomID(w.rng)), Addr: a})
		}
		return nodes
	}
	l := New(randomID(w.rng), target)
	l.Start(w.nodes[:8])
	run(t, l, func(n Node) (ID, []Node, bool) {
		if _, honest := w.by[n.Addr]; !honest {
			return n.ID, evil(), true // redirects without end
		}
		return n.ID, append(evil()[:4], w.reply(n, target)...), true
	})
	if got, want := addrs(l.Closest()), w.closest(target, K); !slices.Equal(got, want) {
		t.Errorf("the lookup ended at %v, want %v", got, want)
	}
}

// TestNodeWithTwoIDsDropsOut checks that the answer of a node does not count if the node
// gave another id before, and that a wrong id given by others does not hurt a node.
func TestNodeWithTwoIDsDropsOut(t *testing.T) {
	t.Parallel()
	w := newNetwork(3, 3)
	target := randomID(w.rng)
	l := New(randomID(w.rng), target)
	l.Start(w.nodes[:2])
	first, _ := l.Next()
	second, _ := l.Next()
	wrong := w.nodes[2]
	wrong.ID = target
	if !l.Answered(first.Addr, first.ID, nil, []Node{wrong}) {
		t.Error("an honest answer does not count")
	}
	if l.Answered(second.Addr, randomID(w.rng), []byte("t"), nil) {
		t.Error("the answer of a node with two ids counts")
	}
	third, _ := l.Next()
	if third.Addr != wrong.Addr || !l.Answered(third.Addr, w.nodes[2].ID, []byte("t"), nil) {
		t.Error("the answer of a node about which another node lied does not count")
	}
	got := addrs(l.Closest())
	if len(got) != 2 || slices.Contains(got, second) || !slices.Contains(got, w.nodes[2]) {
		t.Errorf("the lookup ended at %v", got)
	}
}

// TestSmallNetworkWithoutSecureNodes checks that nodes with other ids count if there are no
// nodes with ids that BEP 42 allows.
func TestSmallNetworkWithoutSecureNodes(t *testing.T) {
	t.Parallel()
	w := newNetwork(4, 5)
	for i := range w.nodes {
		w.nodes[i].ID = randomID(w.rng)
	}
	target := randomID(w.rng)
	l := New(randomID(w.rng), target)
	l.Hint([]netip.AddrPort{w.nodes[0].Addr})
	run(t, l, func(n Node) (ID, []Node, bool) { return w.nodes[w.by[n.Addr]].ID, w.nodes, true })
	if got := addrs(l.Closest()); !slices.Equal(got, w.closest(target, K)) {
		t.Errorf("the lookup ended at %v", got)
	}
}

// TestOutsideNodesCannotNameLocalOnes checks that a public node cannot send a lookup to
// addresses of the local network.
func TestOutsideNodesCannotNameLocalOnes(t *testing.T) {
	t.Parallel()
	w := newNetwork(5, 1)
	l := New(ID{}, ID{1})
	l.Start(w.nodes)
	n, _ := l.Next()
	l.Answered(n.Addr, n.ID, nil, []Node{
		{ID: ID{2}, Addr: netip.MustParseAddrPort("127.0.0.1:80")}, {ID: ID{3}, Addr: netip.MustParseAddrPort("192.168.1.1:80")},
		{ID: ID{4}, Addr: netip.MustParseAddrPort("[fe80::1]:80")}, {ID: ID{5}, Addr: netip.MustParseAddrPort("224.0.0.1:80")}, {ID: ID{6}, Addr: netip.MustParseAddrPort("20.0.0.1:0")},
	})
	if n, ok := l.Next(); ok {
		t.Errorf("the lookup asks %v", n)
	}
}

// TestSlowNodes checks that a slow node makes room for another query, and that its late
// answer counts.
func TestSlowNodes(t *testing.T) {
	t.Parallel()
	w := newNetwork(6, 12)
	l := New(ID{}, ID{1})
	l.Start(w.nodes)
	var first []Node
	for n, ok := l.Next(); ok; n, ok = l.Next() {
		first = append(first, n)
	}
	if len(first) != Alpha {
		t.Fatalf("%d queries wait, want %d", len(first), Alpha)
	}
	l.Slow(first[0].Addr)
	n, ok := l.Next()
	if !ok {
		t.Fatal("a slow node keeps its place")
	}
	for _, a := range append(first[1:], n) {
		l.Answered(a.Addr, a.ID, nil, nil)
	}
	if !l.Answered(first[0].Addr, first[0].ID, nil, nil) {
		t.Error("a late answer does not count")
	}
	if l.waiting != 0 || l.slow != 0 {
		t.Errorf("%d wait, %d are slow", l.waiting, l.slow)
	}
}

// TestLookupAlwaysEnds runs lookups in networks in which nodes fail, lie and are slow at
// random.
func TestLookupAlwaysEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newNetwork(rapid.Uint64().Draw(t, "seed"), 60)
		target := randomID(w.rng)
		l := New(randomID(w.rng), target)
		l.Start(w.nodes[:w.rng.IntN(10)])
		counts := map[netip.AddrPort]int{}
		run(t, l, func(n Node) (ID, []Node, bool) {
			counts[n.Addr]++
			if counts[n.Addr] > 1 {
				t.Fatalf("%v is asked twice", n)
			}
			id := n.ID
			nodes := w.reply(n, target)
			switch w.rng.IntN(5) {
			case 0:
				return id, nil, false
			case 1:
				id = randomID(w.rng)
			case 2:
				l.Slow(n.Addr)
			case 3:
				for i := range nodes {
					nodes[i].ID = nodeid.WithPrefix(target, 100, randomID(w.rng))
					nodes[i].Addr = netip.AddrPortFrom(nodes[i].Addr.Addr(), uint16(w.rng.Uint32()))
				}
			}
			return id, nodes, true
		})
		if found := l.Closest(); len(found) > K || !slices.IsSortedFunc(found, func(a, b Result) int { return nodeid.Compare(target, a.ID, b.ID) }) {
			t.Fatalf("the lookup ended at %v", found)
		}
	})
}

// TestContinueAsksAnsweringNodes walks along the key space: a node that answered is asked by the next
// lookup, twice if its answer seems lost, and a node that did not answer two lookups is left out even
// if others name it.
func TestContinueAsksAnsweringNodes(t *testing.T) {
	t.Parallel()
	w := newNetwork(7, 6)
	good, dead := w.nodes[0], w.nodes[1]
	l := New(ID{}, ID{1})
	for i, want := range [][2]int{{1, 1}, {2, 1}, {2, 0}, {2, 0}} {
		l.Start([]Node{good})
		l.extend([]Node{dead}, true)
		asked := map[Node]int{}
		for n, ok := l.Next(); ok; n, ok = l.Next() {
			asked[n]++
			l.Slow(n.Addr)
		}
		l.Answered(good.Addr, good.ID, nil, nil)
		l.Failed(dead.Addr)
		if got := [2]int{asked[good], asked[dead]}; got != want || !l.Done() {
			t.Errorf("lookup %d asked the node that answers and the other one %v times, want %v; done: %v", i, got, want, l.Done())
		}
		l = l.Continue(ID{}, ID{1, byte(i)})
	}
}
