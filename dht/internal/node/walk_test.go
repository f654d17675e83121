package node

import (
	"net/netip"
	"slices"
	"testing"

	"spate/dht/internal/krpc"
	"spate/dht/internal/nodeid"
)

// announceAll announces targets one after the other, and returns the queries for each and the
// share of the closest honest nodes that store the peer. If walk is set, each search starts from
// the nodes at which those before it ended.
func announceAll(w *internet, h *host, targets []ID, walk bool) (queries, recall float64) {
	var near []Contact
	sent, stored := 0, 0
	for _, target := range targets {
		r := Request{Method: krpc.GetPeers, Target: target, Announce: &Announcement{Port: 7000}}
		if walk {
			r.Near = near
		}
		s := w.search(h, r)
		near = s.Near(near, 24)
		sent += s.Queries
		for _, c := range w.closest(target, 8) {
			m := krpc.Message{Values: w.by[c.Addr].families[0].peers.AppendValues(nil, w.now, target, 1000, false)}
			if slices.Contains(m.AppendPeers(nil, 100), netip.AddrPortFrom(h.addr.Addr(), 7000)) {
				stored++
			}
		}
	}
	return float64(sent) / float64(len(targets)), float64(stored) / float64(8*len(targets))
}

// TestWalkCostsFewQueries announces as many torrents as a publisher of 100,000 has in a part of
// the key space of 10,000 nodes, of which 20 % do not answer: in the order of their info-hashes an
// announce costs at most 20 queries, and reaches 95 % of the closest nodes.
func TestWalkCostsFewQueries(t *testing.T) {
	t.Parallel()
	const part = 10 // bits that all targets share: 1 of 1024 parts of the key space
	w := newInternet(t, 3)
	w.quiet = true
	for i := range 10_000 {
		if i%5 == 0 {
			w.settled(gone)
		} else {
			w.settled(honest)
		}
	}
	w.fill()
	h := w.some()
	var targets, alone []ID
	prefix := h.randomID()
	for range 100_000 >> part {
		targets = append(targets, nodeid.WithPrefix(prefix, part, h.randomID()))
	}
	slices.SortFunc(targets, func(a, b ID) int { return nodeid.Compare(ID{}, a, b) })
	for range 20 {
		alone = append(alone, h.randomID())
	}
	single, singleRecall := announceAll(w, h, alone, false)
	queries, recall := announceAll(w, h, targets, true)
	t.Logf("one by one: %.1f queries an announce, recall %.3f; sorted: %.1f queries, recall %.3f", single, singleRecall, queries, recall)
	if queries > 20 || recall < 0.95 {
		t.Errorf("sorted announces cost %.1f queries each and reach %.3f of the closest nodes", queries, recall)
	}
	if singleRecall < 0.9 {
		t.Errorf("single announces reach %.3f of the closest nodes", singleRecall)
	}
}
