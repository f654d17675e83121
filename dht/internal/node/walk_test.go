package node

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"spate/dht/internal/krpc"
	"spate/dht/internal/nodeid"
)

// walkLen is the number of announces of one walk, as in an announcer of package dht.
const walkLen = 32

// announceAll announces targets one after the other, and returns the queries for each and the
// share of the closest honest nodes that store the peer. If walk is set, it does so in walks, as an
// announcer of package dht.
func announceAll(w *internet, h *host, targets []ID, walk bool) (queries, recall float64) {
	var last *Search
	sent, stored := 0, 0
	for i, target := range targets {
		r := Request{Method: krpc.GetPeers, Target: target, Announce: &Announcement{Port: 7000}}
		if walk {
			if i%walkLen == 0 {
				last = w.search(h, Request{Method: krpc.FindNode, Target: h.WalkFrom(target, targets[min(i+walkLen, len(targets))-1])})
				sent += last.Queries
			}
			r.After = last
		}
		last = w.search(h, r)
		sent += last.Queries
		for _, c := range w.closest(target, 8) {
			m := krpc.Message{Values: w.by[c.Addr].families[0].peers.AppendValues(nil, w.now, target, 1000, false)}
			if slices.Contains(m.AppendPeers(nil, 100), netip.AddrPortFrom(h.addr.Addr(), 7000)) {
				stored++
			}
		}
	}
	return float64(sent) / float64(len(targets)), float64(stored) / float64(8*len(targets))
}

// walkers returns a network of size nodes, of which 20 % do not answer, and one of the others.
func walkers(t testing.TB, seed uint64, size int) (*internet, *host) {
	w := newInternet(t, seed)
	w.quiet = true
	for i := range size {
		if i%5 == 0 {
			w.settled(gone)
		} else {
			w.settled(honest)
		}
	}
	w.fill()
	return w, w.some()
}

// sorted returns the targets of a publisher of so many torrents in the order of their info-hashes: all,
// or about 100 that share the first bits.
func sorted(h *host, torrents int) (targets []ID) {
	prefix, shared := h.randomID(), 0
	for ; torrents > 150; torrents /= 2 {
		shared++
	}
	for range torrents {
		targets = append(targets, nodeid.WithPrefix(prefix, shared, h.randomID()))
	}
	slices.SortFunc(targets, func(a, b ID) int { return nodeid.Compare(ID{}, a, b) })
	return targets
}

// TestWalkCostsFewQueries announces in networks of 2000 nodes what a publisher of ten times as many
// torrents has in a part of the key space, in the order of their info-hashes. An announce needs 16
// queries at least: eight nodes are asked for a token and written to.
func TestWalkCostsFewQueries(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		w, h := walkers(t, seed, 2000)
		single, singleRecall := announceAll(w, h, []ID{h.randomID(), h.randomID(), h.randomID(), h.randomID()}, false)
		queries, recall := announceAll(w, h, sorted(h, 20_000), true)
		t.Logf("seed %d: one by one %.1f queries an announce, recall %.3f; sorted %.1f queries, recall %.3f", seed, single, singleRecall, queries, recall)
		if queries > 18 || recall < 0.97 {
			t.Errorf("seed %d: sorted announces cost %.1f queries each and reach %.3f of the closest nodes", seed, queries, recall)
		}
		if singleRecall < 0.8 {
			t.Errorf("seed %d: single announces reach %.3f of the closest nodes", seed, singleRecall)
		}
	}
}

// BenchmarkAnnounces measures the queries of an announce and the share of the closest nodes that it
// reaches, for publishers of different sizes in networks of 10,000 nodes.
func BenchmarkAnnounces(b *testing.B) {
	for _, torrents := range []int{1, 100, 10_000, 100_000} {
		b.Run(fmt.Sprint(torrents), func(b *testing.B) {
			var queries, recall float64
			const seeds = 5
			for b.Loop() {
				queries, recall = 0, 0
				for seed := range uint64(seeds) {
					w, h := walkers(b, seed, 10_000)
					targets := sorted(h, torrents)
					for torrents == 1 && len(targets) < 20 { // the mean of several publishers
						targets = append(targets, h.randomID())
					}
					q, r := announceAll(w, h, targets, torrents > 1)
					b.Logf("seed %d: %.1f queries an announce, recall %.3f", seed, q, r)
					queries, recall = queries+q/seeds, recall+r/seeds
				}
			}
			b.ReportMetric(queries, "queries/announce")
			b.ReportMetric(recall, "recall")
			b.ReportMetric(0, "ns/op")
		})
	}
}
