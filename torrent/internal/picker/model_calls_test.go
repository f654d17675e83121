package picker

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"spate/bitfield"
)

// TestPickerAgreesWithModel checks random calls of a Picker against the model.
func TestPickerAgreesWithModel(t *testing.T) { rapid.Check(t, checkAgainstModel) }

// checkAgainstModel makes random calls and compares the Picker with the model after
// each.
func checkAgainstModel(t *rapid.T) {
	m := newModel(t)
	n := len(m.sizes)
	peer := func(t *rapid.T) PeerID {
		ps := make([]PeerID, 0, len(m.peers))
		for p := range m.peers {
			ps = append(ps, p)
		}
		if len(ps) == 0 {
			t.Skip("no peers")
		}
		slices.Sort(ps)
		return rapid.SampledFrom(ps).Draw(t, "peer")
	}
	piece := func(t *rapid.T) int { return rapid.IntRange(0, n-1).Draw(t, "piece") }
	one := func(t *rapid.T, bs []Block) Block {
		if len(bs) == 0 {
			t.Skip("no block")
		}
		return rapid.SampledFrom(bs).Draw(t, "block")
	}
	t.Repeat(map[string]func(*rapid.T){
		"": m.compare,
		"join": func(t *rapid.T) {
			p := PeerID(rapid.IntRange(0, 7).Draw(t, "p"))
			if _, joined := m.peers[p]; !joined && !m.k.Reusable(p) {
				t.Skip("not reusable")
			}
			h, f, kind := make([]bool, n), bitfield.New(n), rapid.IntRange(0, 3).Draw(t, "kind")
			for i := range n {
				h[i] = kind == 3 || kind > 0 && rapid.IntRange(0, 3).Draw(t, "has") < kind
				if h[i] {
					f.Set(i)
				}
			}
			m.k.PeerJoined(p, f)
			m.peers[p] = h
		},
		"have": func(t *rapid.T) {
			p, i := peer(t), piece(t)
			if m.k.PeerHave(p, i) == m.peers[p][i] {
				t.Fatalf("PeerHave(%d, %d) is %v, want %v", p, i, m.peers[p][i], !m.peers[p][i])
			}
			m.peers[p][i] = true
		},
		"dont have": func(t *rapid.T) {
			p, i := peer(t), piece(t)
			if m.k.PeerDontHave(p, i) != m.peers[p][i] {
				t.Fatalf("PeerDontHave(%d, %d) is %v, want %v", p, i, !m.peers[p][i], m.peers[p][i])
			}
			m.peers[p][i] = false
		},
		"pick":       func(t *rapid.T) { m.pickAndCheck(t, peer(t)) },
		"pick again": func(t *rapid.T) { m.pickAndCheck(t, peer(t)) },
		"claim": func(t *rapid.T) {
			b := one(t, sortedBlocks(m.requested))
			if len(m.requested[b]) == 0 {
				t.Skip("not requested")
			}
			m.claim(t, rapid.SampledFrom(m.requested[b]).Draw(t, "from"), b)
		},
		"claim any": func(t *rapid.T) { m.claim(t, peer(t), one(t, m.blocks(piece(t)))) },
		"arrive": func(t *rapid.T) {
			for _, b := range sortedBlocks(m.claims) {
				if _, ok := m.claims[b]; ok && rapid.IntRange(0, 9).Draw(t, "now") > 0 {
					m.arrive(t, b)
				}
			}
		},
		"arrive all": func(t *rapid.T) {
			for _, b := range sortedBlocks(m.requested) {
				if len(m.requested[b]) > 0 && m.open[int(b.Piece)] {
					if _, busy := m.claims[b]; !busy {
						m.claim(t, m.requested[b][0], b)
						m.arrive(t, b)
					}
				}
			}
		},
		"copy fails": func(t *rapid.T) {
			b := one(t, sortedBlocks(m.claims))
			if !m.k.Abandon(b, m.claims[b]) {
				t.Fatalf("Abandon of the claimed block %v is false", b)
			}
			delete(m.claims, b)
			m.closeUnclaimed()
		},
		"abandon": func(t *rapid.T) {
			b, p := one(t, sortedBlocks(m.requested)), peer(t)
			at := slices.Index(m.requested[b], p)
			_, copying := m.claims[b]
			if copying && m.claims[b] == p {
				t.Skip("the peer is sending the block")
			}
			if m.k.Abandon(b, p) != (at >= 0) {
				t.Fatalf("Abandon(%v, %d) is %v, want %v", b, p, at < 0, at >= 0)
			}
			if at >= 0 {
				m.requested[b] = slices.Delete(m.requested[b], at, at+1)
			}
			m.closeUnclaimed()
		},
		"choke": func(t *rapid.T) { m.abandonAll(t, peer(t)) },
		"leave": func(t *rapid.T) { m.leave(t, peer(t)) },
		"bad block": func(t *rapid.T) {
			b := one(t, sortedBlocks(m.senders))
			if p, ok := m.k.BlockFailed(b); !ok || p != m.senders[b] {
				t.Fatalf("BlockFailed(%v) returned %d, %v; want the sender %d", b, p, ok, m.senders[b])
			}
			delete(m.senders, b)
		},
		"priority": func(t *rapid.T) {
			from, prio := piece(t), rapid.IntRange(0, MaxPriority).Draw(t, "priority")
			to := rapid.IntRange(from, n).Draw(t, "to")
			m.k.SetPriority(from, to, prio)
			for i := from; i < to; i++ {
				m.prio[i] = prio
			}
		},
		"lost": func(t *rapid.T) {
			i := piece(t)
			m.k.Lost(i)
			m.have[i] = false
		},
		"urgent": func(t *rapid.T) {
			ask := rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 4).Draw(t, "urgent")
			m.k.SetUrgent(ask)
			m.urgent = nil
			for _, i := range ask {
				if m.wanted(i) && !slices.Contains(m.urgent, i) {
					m.urgent = append(m.urgent, i)
				}
			}
		},
		"verified on disk": func(t *rapid.T) {
			i := piece(t)
			m.k.Verified(i)
			m.setVerified(i)
			m.forget(i)
		},
		"resume": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
				t.Skip("one in ten")
			}
			f := bitfield.New(n)
			for i := range n {
				m.forget(i)
				m.have[i] = rapid.Bool().Draw(t, "have")
				if m.have[i] {
					m.setVerified(i)
					f.Set(i)
				}
			}
			m.k.SetHave(f)
		},
		"evict": func(t *rapid.T) {
			p := peer(t)
			if i, ok := m.k.Evict(p); ok {
				if m.prio[i] > 0 && m.peers[p][i] {
					t.Fatalf("evicted piece %d, which the peer has", i)
				}
				for _, b := range m.blocks(i) {
					if _, copying := m.claims[b]; copying || len(m.requested[b]) > 0 {
						t.Fatalf("evicted piece %d while its block %v is requested or being copied", i, b)
					}
				}
				m.forget(i)
			}
		},
	})
}

// sortedBlocks returns the keys of m in a fixed order, so that a random draw can be
// repeated.
func sortedBlocks[V any](m map[Block]V) []Block {
	var bs []Block
	for b := range m {
		bs = append(bs, b)
	}
	slices.SortFunc(bs, func(a, b Block) int {
		if a.Piece != b.Piece {
			return int(a.Piece - b.Piece)
		}
		return int(a.Begin - b.Begin)
	})
	return bs
}
